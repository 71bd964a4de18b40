"""Plans work so that each set of imports is opened as seldom as the workers allow.

Owns the grouping of work by session, its division into batches, and the fingerprints of both. It knows nothing of
pools, processes or time: a plan is a value, made before any worker starts, and the same input makes the same plan.
Callers choose what is asked for each module, for how many workers, and what an item costs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from ..base.arguments import check_choice, check_method, check_several, shown
from ..base.callbacks import check_callable, result_of
from ..errors import UsageError
from ..hosting.launch import Capability
from ..lake.project import LakeModule, LakeProject
from ..wire.requests import encode_request
from . import balance
from .import_graph import ImportGraph
from .lean_header import SourceText
from .sessions import ImportOrder, Sessions, replaced

ItemT = TypeVar("ItemT")
RequestT = TypeVar("RequestT")


@dataclasses.dataclass(frozen=True)
class Batch(Generic[ItemT, RequestT]):
    """Work for one session.

    Attributes:
        capability: What the session hosts, with the batch's imports.
        imports: The modules that it imports besides the script's own.
        items: What the requests are about, in the order of the plan's input.
        requests: One for each item.
        cost: The sum of the items' costs.
        fingerprint: Digest of everything known that decides the batch's results; see `plan`.
    """

    capability: Capability
    imports: tuple[str, ...]
    items: tuple[ItemT, ...]
    requests: tuple[RequestT, ...]
    cost: float
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class Plan(Generic[ItemT, RequestT]):
    """Batches in the order in which they should be started: those of one session together, the dearest session first.

    `Pool.map` takes a plan in place of requests; `items[outcome.index]` is what an outcome is about.

    Attributes:
        batches: Every item stands in exactly one of them.
        left_out: Modules of the project's libraries that were not planned: Lake does not build them, because no
            glob names them and nothing that is built imports them.
        fingerprint: Digest of all batches' fingerprints.
    """

    batches: tuple[Batch[ItemT, RequestT], ...]
    left_out: tuple[str, ...]
    fingerprint: str

    @property
    def import_sets(self) -> int:
        """Number of different sessions that the batches need."""
        return len({batch.imports for batch in self.batches})

    @property
    def items(self) -> tuple[ItemT, ...]:
        """All items, batch by batch."""
        return tuple(item for batch in self.batches for item in batch.items)

    @property
    def requests(self) -> tuple[RequestT, ...]:
        """All requests, batch by batch, as `items`."""
        return tuple(request for batch in self.batches for request in batch.requests)


def plan(
    project: LakeProject,
    *,
    capability: Capability,
    request: Callable[[LakeModule], RequestT],
    modules: Iterable[LakeModule | str] | None = None,
    imports: Callable[[LakeModule], Iterable[str]] | None = None,
    import_order: ImportOrder = "ignored",
    workers: int = 1,
    max_batch_size: int | None = None,
    cost: Callable[[LakeModule], float] | None = None,
) -> Plan[LakeModule, RequestT]:
    """Plan one request for each module of a Lake project.

    Modules whose imports are the same share a session. The imports are those of the module's own header, read by the
    header parser of the capability's Lean, with `capability.imports` added to each. Lean is started for that, a worker
    is not.

    A fingerprint covers: the module's content and that of all modules of the project which it or the session imports,
    the lakefile, the manifest, the toolchain file and Lean's version, the capability's settings and its script's
    content, the imports and the requests. It covers packages through the manifest, and neither paths nor times.

    Args:
        project: See `LakeProject.discover`.
        capability: What is hosted; the project becomes its own if it names none.
        request: Gives a module's request.
        modules: The modules to plan, or their names; None for those that Lake builds.
        imports: Gives a module's session something else to import than the module imports itself, such as the module.
        import_order: With "kept", the same imports in another order are another session. Lean sees the same
            declarations either way; among rules of equal priority it prefers those imported last.
        workers: How many workers the batches are balanced over.
        max_batch_size: Largest number of requests in a batch; None for no limit.
        cost: Gives what a module costs, in any unit; by default all cost the same.

    Raises:
        HeaderError: Lean refuses a header.
        ModuleMissing: A module is imported that is neither in the project nor compiled.
        ImportCycle: Modules of the project import each other in a circle.
        PlanningError: A file cannot be read.
        CapabilityError: There is no Lean to ask, or it does not answer; also `MissingExtra`.
        UsageError: A number is out of range, a request has no JSON form, or the capability takes no imports.
    """
    if not isinstance(project, LakeProject):
        raise UsageError(
            f"planning: expected project as a LakeProject, got {shown(project)}",
            hint="Read it with lw.lake.LakeProject.discover(directory).",
        )
    if modules is not None and (isinstance(modules, (str, bytes)) or not isinstance(modules, Iterable)):
        raise UsageError(f"planning: expected modules as several, got {shown(modules)}", hint="Put it into a list.")
    _check_options(capability, workers, max_batch_size, import_order, request=request, cost=cost, imports=imports)
    if getattr(capability, "project", ...) is None:
        capability = replaced(capability, project=project.root)
    session = Sessions(capability, import_order)
    in_project = {module.name: module for module in project.modules}
    session.check(session.own, "the capability", besides=in_project)
    if modules is not None:
        wanted = {each.name: each for each in (project.module(_name_of(module)) for module in modules)}
        graph = ImportGraph(project.modules, wanted.values(), session.reader, session.compiled)
    else:
        targets = [module for module in project.modules if module.is_target]
        graph = ImportGraph(project.modules, targets, session.reader, session.compiled)
        wanted = {name: in_project[name] for name in graph.headers}
    sessions = {name: graph.headers[name].modules for name in wanted}
    if imports is not None:
        sessions = {
            name: session.named(result_of("imports", imports(module), is_iterated=True))
            for name, module in wanted.items()
        }
        for name, chosen in sessions.items():
            session.check(chosen, f"module {name}", besides=in_project)
    of_sessions = {name for names in (*sessions.values(), session.own) for name in names if name in in_project}
    if not of_sessions <= graph.headers.keys():
        # What a session imports counts for its fingerprint as what the module imports does.
        more = [in_project[name] for name in sorted(of_sessions | wanted.keys())]
        graph = ImportGraph(project.modules, more, session.reader, session.compiled)
    works = []
    for name in sorted(wanted):
        module = wanted[name]
        session_imports = session.imports(sessions[name])
        works.append(
            _Work(
                module, result_of("request", request(module)), session_imports, _cost(cost, module), graph.digest(name)
            )
        )
    left_out = tuple(name for name in in_project if name not in wanted) if modules is None else ()
    base = [project.sha256, session.identity()]
    return _planned(works, session, base, graph.digest, workers, max_batch_size, left_out)


def plan_items(
    items: Iterable[ItemT],
    *,
    capability: Capability,
    request: Callable[[ItemT], RequestT],
    imports: Callable[[ItemT], Iterable[str]] | None = None,
    source: Callable[[ItemT], str | bytes] | None = None,
    import_order: ImportOrder = "ignored",
    workers: int = 1,
    max_batch_size: int | None = None,
    cost: Callable[[ItemT], float] | None = None,
) -> Plan[ItemT, RequestT]:
    """Plan one request for each of any items, such as snippets, each with imports of its own.

    A fingerprint covers the items' sources and requests, the imports' names, the capability's settings, its script's
    content, Lean's version, and the lakefile, manifest and toolchain file of `capability.project`; not the content of
    compiled modules.

    Args:
        items: Anything.
        capability: What is hosted. One without imports, such as `PythonCapability`, can be planned for if no item
            has imports.
        request: Gives an item's request.
        imports: Gives the modules that an item's session imports.
        source: Gives an item's Lean text, whose header names the imports; the text may end with its header. At most
            one of `imports` and `source` is given.
        import_order: See `plan`.
        workers: See `plan`.
        max_batch_size: See `plan`.
        cost: Gives what an item costs, in any unit; by default all cost the same.

    Raises:
        UsageError: As `plan`, and if both `imports` and `source` are given.
        LeanWorkerError: Everything else that `plan` raises.
    """
    check_several("planning items", "items", items, "items")
    _check_options(capability, workers, max_batch_size, import_order, request=request, cost=cost, imports=imports)
    check_callable("planning items", "item", source=source)
    if imports is not None and source is not None:
        raise UsageError("planning items: expected imports or source, got both", hint="Leave one of them out.")
    listed = list(items)
    session = Sessions(capability, import_order)
    session.check(session.own, "the capability")
    texts = (
        [_text(result_of("source", source(item)), index) for index, item in enumerate(listed)]
        if source is not None
        else []
    )
    if texts:
        headers = session.reader.read(texts)
        named = [header.modules for header in headers]
    else:
        named = [
            () if imports is None else session.named(result_of("imports", imports(item), is_iterated=True))
            for item in listed
        ]
    works = []
    for index, item in enumerate(listed):
        session.check(named[index], f"item {index}")
        digest = texts[index].sha256 if texts else ""
        works.append(
            _Work(item, result_of("request", request(item)), session.imports(named[index]), _cost(cost, item), digest)
        )
    base = [*session.pins(), session.identity()]
    return _planned(works, session, base, lambda module: module, workers, max_batch_size, ())


@dataclasses.dataclass(frozen=True)
class _Work(Generic[ItemT, RequestT]):
    """An item on its way into a batch."""

    item: ItemT
    request: RequestT
    imports: tuple[str, ...]
    cost: float
    digest: str


def _planned(
    works: Sequence[_Work[ItemT, RequestT]],
    session: Sessions,
    base: Sequence[str],
    import_digest: Callable[[str], str],
    workers: int,
    max_batch_size: int | None,
    left_out: tuple[str, ...],
) -> Plan[ItemT, RequestT]:
    groups: dict[tuple[str, ...], list[_Work[ItemT, RequestT]]] = {}
    for work in works:
        groups.setdefault(work.imports, []).append(work)
    costs = {imports: math.fsum(work.cost for work in group) for imports, group in groups.items()}
    total = math.fsum(costs.values())
    batches = []
    for imports in sorted(groups, key=lambda imports: (-costs[imports], imports)):
        group = groups[imports]
        count = balance.pieces(costs[imports], total, workers, len(group), max_batch_size)
        capability = session.capability(imports)
        for indices in balance.split([work.cost for work in group], count, max_batch_size):
            chosen = [group[index] for index in indices]
            parts = [*base, *(f"{name} {import_digest(name)}" for name in imports)]
            for work in chosen:
                parts += [work.digest, encode_request(None, work.request, "a plan")]
            batches.append(
                Batch(
                    capability,
                    imports,
                    tuple(work.item for work in chosen),
                    tuple(work.request for work in chosen),
                    math.fsum(work.cost for work in chosen),
                    _digest(parts),
                )
            )
    return Plan(tuple(batches), left_out, _digest([*base, *(batch.fingerprint for batch in batches)]))


def _name_of(module: LakeModule | str) -> str:
    if isinstance(module, str):
        return module
    if not isinstance(module, LakeModule):
        raise UsageError(
            f"planning: expected modules of LakeModule or names, got {shown(module)}",
            hint="Give names, such as 'Lib.Basic', or modules of `project.modules`.",
        )
    return module.name


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _text(text: object, index: int) -> SourceText:
    if not isinstance(text, (str, bytes)):
        raise UsageError(
            f"planning items: expected the source of item {index} as a text or bytes, got {shown(text)}",
            hint="Return the item's Lean text from source=.",
        )
    return SourceText(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), f"item {index}")


def _cost(cost: Callable[[ItemT], float] | None, item: ItemT) -> float:
    if cost is None:
        return 1.0
    value = result_of("cost", cost(item))
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
        raise UsageError(
            f"planning: expected the cost of {shown(item)} as a finite number, not below 0, got {shown(value)}",
            hint="Return a number from cost=.",
        )
    return float(value)


def _check_options(
    capability: Capability,
    workers: int,
    max_batch_size: int | None,
    import_order: str,
    *,
    request: object,
    cost: object,
    imports: object,
) -> None:
    check_method("planning", "capability", capability, "launch")
    if request is None:
        raise UsageError(
            "planning: expected request as a function, got None", hint="Give one from an item to its request."
        )
    check_callable("planning", "item", is_iterated=True, imports=imports)
    check_callable("planning", "item", request=request, cost=cost)
    if type(workers) is not int or workers < 1:
        raise UsageError(
            f"planning: expected workers of at least 1, got {shown(workers)}", hint="Give an int, as in workers=2."
        )
    if max_batch_size is not None and (type(max_batch_size) is not int or max_batch_size < 1):
        raise UsageError(
            f"planning: expected max_batch_size of at least 1, got {shown(max_batch_size)}",
            hint="Give an int, as in max_batch_size=100.",
        )
    check_choice("planning", "import_order", import_order, ("ignored", "kept"))
