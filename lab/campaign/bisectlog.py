"""A bisection as `git bisect log` would tell it, for `git bisect replay` in the repository that holds the commits. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.bisection import Bisection, Look


def log_text(found: Bisection) -> str:
    """A line a kernel, in the order of the looks; kernels that are no prefix of the series are comments."""
    return "\n".join(["git bisect start", *_lines(found), *_end(found)]) + "\n"


def _lines(found: Bisection) -> Iterator[str]:
    kernels: dict[tuple[int, tuple[int, ...]], list[Look]] = {}
    for look in found.looks:
        kernels.setdefault((look.k, look.without), []).append(look)
    for (k, without), looks in kernels.items():
        words = [look.word for look in looks]
        word = max(("bad", "good"), key=words.count) if {"bad", "good"} & {*words} else "skip" if any(words) else ""
        commit, title = next((look.commit for look in looks if look.commit), ""), _title(found, k)
        if without:
            left_out = ", ".join(found.patches[one - 1] for one in without)
            yield f"# {word or 'not judged yet'}: the first {k} patches without {left_out}"
        elif word and commit:
            yield f"# {word}: [{commit}] {title}"
            yield f"git bisect {word} {commit}"
        else:
            yield f"# {word or 'not judged yet'}: {title}: {looks[-1].why}"


def _end(found: Bisection) -> Iterator[str]:
    for one in found.culprits:
        commit = next((look.commit for look in found.looks if (look.k, look.without) == (one.k, ()) and look.commit), one.patch)
        yield f"# first bad commit: [{commit}] {one.title}"
    if found.word == "suspects":
        yield "# there are only 'skip'ped commits left to test; the first bad commit could be any of:"
        yield from (f"# {name}" for name in found.suspects)


def _title(found: Bisection, k: int) -> str:
    return found.patches[k - 1] if k else "what the series stands on"
