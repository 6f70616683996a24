"""The command line's session over Invoke: one line is one session, an option given to any verb reaches every verb that knows it.

Invoke by itself gives `--series` only to the verb it follows, exits 1 for usage errors, crashes and Ctrl-C alike, and joins what
follows `--` with spaces. Chain and LabProgram mend just that.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from invoke import Collection, Context, Exit, Program, task
from invoke.exceptions import ParseError
from invoke.executor import Executor

from lab.errors import HostError, LabError, UsageError
from lab.options import BOOLEAN, OPTIONS

if TYPE_CHECKING:
    from lab.campaign.plan import Ask
    from lab.campaign.rundir import RunDir
    from lab.campaign.session import Lab
    from lab.model.run import Results
    from lab.report.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
USAGE, BUG, INTERRUPTED = 2, 3, 130
ABORT = 128
"""From here on, `git bisect run` stops; below, it takes an exit code for a verdict."""
P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """What the verbs of one line share: the Lab, made when the first verb needs it, the terminal, the words after `--`."""

    def __init__(self, argv: list[str]) -> None:
        cut = argv.index("--") if "--" in argv else len(argv)
        self.words = argv[1:]
        self.rest = argv[cut + 1 :]
        self.code = 0
        self.decided = False
        """Whether the verb's own exit code stands, whatever the run's results are."""
        self.said: set[str] = set()
        self._lab: Lab | None = None
        self._terminal: Terminal | None = None

    @property
    def terminal(self) -> Terminal:
        """Where progress and results are shown."""
        if self._terminal is None:
            from lab.report.terminal import Terminal

            plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ
            self._terminal = Terminal(stdout=sys.stdout, stderr=sys.stderr, plain=plain)
        return self._terminal

    @property
    def lab(self) -> Lab:
        """The Lab of this command line."""
        if self._lab is None:
            from lab.campaign.session import Lab

            self._lab = Lab(ROOT, self.terminal, self.words)
        return self._lab

    @property
    def stopped(self) -> bool:
        """Whether the next verb has nothing to stand on."""
        return self.code != 0 or (self._lab is not None and self._lab.has_run and self._lab.ledger.failed)

    def say(self, lines: Iterable[str]) -> int:
        """Print lines as results, each once: verbs of one line share steps. Returns the exit code, 0."""
        for line in lines:
            if line not in self.said:
                self.said.add(line)
                self.terminal.print_line(line)
        return 0

    def do(
        self,
        ask: Ask,
        action: Callable[Concatenate[Lab, Ask, P], R],
        dry: Callable[Concatenate[Lab, Ask, P], Iterable[str]],
        *more: P.args,
        **named: P.kwargs,
    ) -> R | None:
        """Do it, or with --dry-run say what would be done; `more` are the verb's own words."""
        if not ask.dry_run:
            return action(self.lab, ask, *more, **named)
        self.say(dry(self.lab, ask, *more, **named))
        return None

    def show(self, run: RunDir, results: Results, *, explain: bool = False) -> int:
        """Print a run's results, `explain`: with all tables of explained rows; the exit code it has or had."""
        self.terminal.print_results(results, run.path, explain=explain)
        return results.exit

    def finish(self, error: BaseException | None) -> int:
        """Close the run, show it, and say the exit code."""
        code = self.code
        if self._lab is not None and self._lab.has_run:
            results = self._lab.ledger.close(error)
            if self._terminal is not None:
                self._terminal.close()
            self.terminal.print_results(results, self._lab.ledger.run.path)
            code = code if self.decided else code or results.exit
        elif self._terminal is not None:
            self._terminal.close()
        return code


class LabContext(Context):
    """An Invoke context that knows the session."""

    session: Session


def verb(*options: str, default: bool = False, host: bool = False) -> Callable[[Callable[..., int | None]], Any]:
    """Make a function `(session, ask, own options...)` an Invoke task that also takes the shared `options`.

    No short flags, so that none shifts when an option is added; every option is a string or a boolean. `host`: the verb calls
    programs of the host, so what is missing is installed or named before it starts.
    """

    def wrap(body: Callable[..., int | None]) -> Any:
        own = inspect.signature(body)

        @functools.wraps(body)
        def run(context: LabContext, **kwargs: Any) -> None:
            from lab.campaign.plan import Ask
            from lab.doctor import ensure

            if host:
                ensure()
            ask = Ask(**{name: kwargs.pop(name) for name in options})
            context.session.code = body(context.session, ask, **kwargs) or context.session.code

        first, _, *rest = own.parameters.values()
        shared = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=name not in BOOLEAN and "") for name in options]
        run.__signature__ = own.replace(parameters=[first, *rest, *shared])  # type: ignore[attr-defined]  # inspect reads it
        return task(auto_shortflags=False, default=default, help={n.replace("_", "-"): OPTIONS[n] for n in options})(run)

    return wrap


class Chain(Executor):
    """Runs the verbs of one line in one session."""

    def normalize(self, tasks: Any) -> Any:
        """Spread each option to every verb that knows it; two values with a third verb undecided is a usage error."""
        calls = super().normalize(tasks)
        given: dict[str, list[Any]] = {}
        for parsed in tasks:
            for arg in parsed.args.values():
                if arg.got_value and not arg.positional:
                    given.setdefault(arg.name, []).append(arg.value)
        for parsed, call in zip(tasks, calls, strict=False):
            for arg in parsed.args.values():
                values = given.get(arg.name, [])
                if not values or arg.got_value or arg.positional:
                    continue
                if any(value != values[0] for value in values):
                    message = f"--{arg.name} has two values in this line and `{call.called_as}` none; give it its own"
                    raise UsageError(message)
                call.kwargs[arg.name.replace("-", "_")] = values[0]
        return calls

    def execute(self, *tasks: Any) -> Any:
        """Run them in order until one has nothing to stand on; exit codes as DESIGN.md lists them."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        session = Session(sys.argv)
        error: BaseException | None = None
        try:
            self._run(session, self.normalize(tasks))
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001  # whatever it is, the run is closed and reported
            error = _hosts_fault(caught)
        code = _finished(session, error)
        if isinstance(error, LabError):
            raise Exit(f"error: {error}", code=fault(code))
        if isinstance(error, KeyboardInterrupt):
            raise Exit("interrupted; what was finished is kept", code=INTERRUPTED)
        if error is not None:
            traceback.print_exception(error)
            raise Exit(f"this is a bug of the lab: {type(error).__name__}: {error}", code=fault(BUG))
        if code:
            raise Exit(code=code)
        return {}

    def _run(self, session: Session, calls: Any) -> None:
        for call in calls:
            if session.stopped:
                sys.stderr.write(f"{call.called_as}: not run, since the verb before it failed\n")
                continue
            context = LabContext(self.config)
            object.__setattr__(context, "session", session)  # Context would copy.copy() it
            call.task(context, **call.kwargs)


def fault(code: int) -> int:
    """The exit code of what is no verdict: that of `step` must not be taken for one."""
    return code + ABORT if sys.argv[1:2] == ["step"] else code


def _finished(session: Session, error: BaseException | None) -> int:
    """Close the session; a second error on the way must not hide the first."""
    try:
        code = session.finish(error)
    except (LabError, OSError) as caught:
        second = _hosts_fault(caught)
        if not isinstance(second, LabError):
            raise
        if str(second) != str(error):
            sys.stderr.write(f"error: {second}\n")
        code = second.code
    if isinstance(error, LabError):
        return code or error.code
    return code


def _hosts_fault(error: BaseException) -> BaseException:
    """A full or read-only disk is the host's fault, wherever it was met; anything else is what it is."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        where = f" ({error.filename})" if error.filename else ""
        return HostError(f"{error.strerror}{where}", hint="./inv du shows what the lab holds, ./inv clean frees it")
    return error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


class LabProgram(Program):
    """Invoke's Program with exit code 2 for usage errors."""

    def parse_core(self, argv: Any) -> None:
        """Parse Invoke's own options."""
        self._usage(super().parse_core, argv)

    def parse_tasks(self) -> None:
        """Parse verbs and their options; Invoke takes an option for the word that a verb still waits for."""
        self._usage(super().parse_tasks)
        for parsed in self.tasks:
            for word in (str(arg.value) for arg in parsed.args.values() if arg.positional):
                if word == "--help" and parsed.name:
                    self.print_task_help(parsed.name)
                    raise Exit
                if word.startswith("--"):
                    message = f"{parsed.name} wants a word before {word}\n./inv --help {parsed.name} names its words and options"
                    raise Exit(message, code=fault(USAGE))

    def _usage(self, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except (ParseError, ValueError) as error:
            raise Exit(f"{error}\n./inv --list names the verbs, ./inv --help VERB its options", code=fault(USAGE)) from None


def main(tasks: Any) -> None:
    """Run the verbs of module `tasks` as sys.argv says."""
    program = cast(
        "Any",
        LabProgram(
            name="lab", binary="./inv", binary_names=["inv"], executor_class=Chain, namespace=Collection.from_module(tasks)
        ),
    )
    try:
        program.run()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of `./inv --list | head` went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
