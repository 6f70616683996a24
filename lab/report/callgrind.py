"""The callgrind format, which KCachegrind and callgrind_annotate open (Valgrind's manual, "Callgrind Format Specification")."""

from __future__ import annotations

from collections import defaultdict

from lab.model.profile import Call, CallGraph


def callgrind_text(graph: CallGraph) -> str:
    """A call graph with a cost line a function, all at line 0: instructions are counted by function, not by line."""
    below: defaultdict[int, list[Call]] = defaultdict(list)
    for call in graph.calls:
        below[call.caller].append(call)
    total = [sum(function.costs[column] for function in graph.functions) for column in range(len(graph.columns))]
    lines = ["# callgrind format", "version: 1", "creator: kernel-lab", f"cmd: {graph.what}", "part: 1", ""]
    lines += ["positions: line", f"events: {' '.join(graph.columns)}", f"summary: {_words(total)}", ""]
    for number, function in enumerate(graph.functions):
        lines += [f"fl={function.source}", f"fn={function.name}", f"0 {_words(function.costs)}"]
        for call in below[number]:
            callee = graph.functions[call.callee]
            lines += [f"cfi={callee.source}", f"cfn={callee.name}", f"calls={max(1, call.calls)} 0", f"0 {_words(call.costs)}"]
        lines.append("")
    return "\n".join([*lines, f"totals: {_words(total)}", ""])


def _words(costs: list[int] | tuple[int, ...]) -> str:
    return " ".join(map(str, costs))
