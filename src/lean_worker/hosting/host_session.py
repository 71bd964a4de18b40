"""Requests between a worker's handshake and its first command, and the answers that are accepted.

Covers their order, the session that a foreign child opens, and the comparison of the hosted code's metadata with the
caller's declaration. Uses no pipe: the supervisor sends each request and passes the response back.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import msgspec

from ..base.arguments import check_items, check_path, check_sent_text, check_unicode, shown
from ..errors import CapabilityError, MetadataMismatch, UnexpectedMessage, UsageError
from ..wire import protocol
from ..wire.json_types import decode_text, encode_value
from ..wire.requests import encode_request
from ..wire.responses import failure_of, unexpected

PROFILES = ("exported-public", "server", "private", "full-private-compat")


@dataclasses.dataclass(frozen=True)
class HostSession:
    """The session that a lean-rs child is asked to open before its first command.

    Args:
        project_root: Directory of the Lake project whose modules are imported.
        imports: Modules to import, in order.
        package: Lake package of the capability; None for a session with the child's own commands only.
        lib_name: The package's library; needed with `package`.
        manifest_path: The capability's manifest, if it has one.
        profile: How much of the modules is loaded: "private", "server", "exported-public" or "full-private-compat".

    Raises:
        UsageError: `package` without `lib_name` or the other way round, or an unknown profile.
    """

    project_root: str | os.PathLike[str]
    imports: Sequence[str] = ()
    package: str | None = None
    lib_name: str | None = None
    manifest_path: str | os.PathLike[str] | None = None
    profile: str = "private"

    def __post_init__(self) -> None:
        doing = "declaring a session"
        if self.project_root is None:
            raise UsageError(
                f"{doing}: expected project_root as a path, got None", hint="Give the directory of the project."
            )
        check_path(doing, "project_root", self.project_root)
        check_path(doing, "manifest_path", self.manifest_path)
        check_items(doing, "imports", self.imports)
        for name, path in (("project_root", self.project_root), ("manifest_path", self.manifest_path)):
            if path is not None:
                check_unicode(doing, name, os.fspath(path))
        for module in self.imports:
            check_unicode(doing, "an import", module)
        for name, value in (("package", self.package), ("lib_name", self.lib_name)):
            if value is not None:
                check_sent_text(doing, name, value)
        if (self.package is None) is not (self.lib_name is None):
            raise UsageError("declaring a session: package and lib_name belong together", hint="Give both, or neither.")
        if self.package is None and self.manifest_path is not None:
            raise UsageError(
                "declaring a session: a manifest belongs to a package and its library",
                hint="Add package= and lib_name=, or leave the manifest out.",
            )
        if not isinstance(self.profile, str) or self.profile not in PROFILES:
            raise UsageError(
                f"declaring a session: expected one of {', '.join(PROFILES)} as profile, got {shown(self.profile)}",
                hint="Leave profile out for the default.",
            )

    def request(self) -> protocol.OpenHostSession:
        """The request that opens it."""
        mode: protocol.CapabilityMode | protocol.ShimsMode = protocol.ShimsMode()
        if self.package is not None and self.lib_name is not None:
            manifest = None if self.manifest_path is None else os.fspath(self.manifest_path)
            mode = protocol.CapabilityMode(self.package, self.lib_name, manifest)
        return protocol.OpenHostSession(os.fspath(self.project_root), mode, list(self.imports), self.profile)


@dataclasses.dataclass(frozen=True)
class MetadataExpectation:
    """Metadata that the hosted code must report before its first command.

    Args:
        command: Name of its metadata command.
        request: That command's request.
        commands: Commands that it must list, each with its version; None accepts any version.
        capabilities: Capabilities that it must list, in the same form.
        exact: Its complete metadata in JSON form, instead of `commands` and `capabilities`.

    Raises:
        UsageError: `exact` is given together with `commands` or `capabilities`, or `request` or `exact` has no JSON
            form.
    """

    command: str
    request: Any = None
    commands: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    capabilities: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    exact: Any = None

    def __post_init__(self) -> None:
        doing = "declaring expected metadata"
        check_sent_text(doing, "command", self.command)
        for name, named in (("commands", self.commands), ("capabilities", self.capabilities)):
            if not isinstance(named, Mapping):
                raise UsageError(
                    f"{doing}: expected {name} as a mapping to versions, got {shown(named)}",
                    hint="Give a dict from names to versions.",
                )
            for key, version in named.items():
                check_sent_text(doing, f"a name in {name}", key)
                if version is not None:
                    check_sent_text(doing, f"the version of {key} in {name}", version, is_empty_good=True)
        encode_request(None, self.request, self.command)
        try:
            encode_value(self.exact)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"declaring expected metadata: exact has no JSON form: {error}", hint="Give plain values, as in a dict."
            ) from error
        if self.exact is not None and (self.commands or self.capabilities):
            raise UsageError(
                "declaring expected metadata: give either `exact` or names, not both", hint="Leave one of them out."
            )

    def check(self, actual: protocol.MetadataEnvelope) -> None:
        """Compare.

        Raises:
            MetadataMismatch: The hosted code is something else.
        """
        if self.exact is not None:
            expected, found = msgspec.json.decode(encode_value(self.exact)), msgspec.to_builtins(actual)
            # Keys that are left out are null on the wire.
            if not isinstance(expected, dict) or {**dict.fromkeys(found), **expected} != found:
                raise self._mismatch("its metadata differ", expected, found)
            return
        pairs = (("command", self.commands, actual.commands), ("capability", self.capabilities, actual.capabilities))
        for kind, wanted, named in pairs:
            found = {entry.name: entry.version for entry in named}
            for name, version in wanted.items():
                if name not in found:
                    raise self._mismatch(f"it has no {kind} {name!r}", dict(wanted), found)
                if version is not None and found[name] != version:
                    what = f"its {kind} {name!r} has version {found[name]!r}, expected {version!r}"
                    raise self._mismatch(what, dict(wanted), found)

    def _mismatch(self, what: str, expected: object, actual: object) -> MetadataMismatch:
        return MetadataMismatch(
            f"checking the hosted code's metadata: {what}; expected {expected}, got {actual}",
            hint="Change the declaration, or host the declared version.",
            command=self.command,
            expected=expected,
            actual=actual,
        )


@dataclasses.dataclass(frozen=True)
class Opening:
    """Requests for a new worker before its first command; none by default.

    Attributes:
        session: The session to open on a foreign child, after a health check.
        metadata: The metadata that the hosted code must report.
    """

    session: HostSession | None = None
    metadata: MetadataExpectation | None = None

    def key(self) -> str:
        """Equal for openings that ask the same."""
        if self == Opening():
            return ""
        parts = dataclasses.asdict(self)
        if self.metadata is not None:
            texts = {name: encode_value(getattr(self.metadata, name)).decode() for name in ("request", "exact")}
            parts["metadata"].update(texts)
        return msgspec.json.encode(parts, enc_hook=str, order="sorted").decode()


@dataclasses.dataclass(frozen=True)
class OpeningReport:
    """Answers of a new worker.

    Attributes:
        import_stats: Figures of the session's imports; None without a session.
        was_reused: Whether the child already had this session open.
        metadata: The metadata that the hosted code reported; None if it was not asked.
    """

    import_stats: protocol.ImportStats | None = None
    was_reused: bool = False
    metadata: protocol.MetadataEnvelope | None = None


def converse(opening: Opening, description: str) -> Generator[protocol.Request, protocol.Response, OpeningReport]:
    """The conversation: yields what to send next, takes each response, returns what was learnt.

    Raises:
        CapabilityError: The child refused the session, or the hosted code has no metadata.
        MetadataMismatch: The hosted code is not what was declared.
        DecodeError: Its metadata have another shape.
        UnexpectedMessage: The child answered something else than was asked.
    """
    stats, was_reused, metadata = None, False, None
    if opening.session is not None:
        response = yield protocol.Health()
        if not isinstance(response, protocol.HealthOk):
            raise _refused("asking a worker for its health", description, response, "health")
        response = yield opening.session.request()
        # The two differ in what the child had to do, not in what the session is.
        if not isinstance(response, protocol.HostSessionOpened | protocol.HostSessionReused):
            raise _refused("opening a session", description, response, "open_host_session")
        stats = response.import_stats
        was_reused = isinstance(response, protocol.HostSessionReused)
    expected = opening.metadata
    if expected is not None:
        request_json = encode_request(None, expected.request, expected.command)
        response = yield protocol.CapabilityMetadata(expected.command, request_json)
        if not isinstance(response, protocol.MetadataResult):
            raise _refused("asking for metadata", description, response, expected.command)
        metadata = decode_text(
            protocol.MetadataEnvelope, bytes(response.metadata), "metadata", command=expected.command
        )
        expected.check(metadata)
    return OpeningReport(stats, was_reused, metadata)


def _refused(
    doing: str, description: str, response: protocol.Response, command: str
) -> CapabilityError | UnexpectedMessage:
    failure = failure_of(response, command)
    if failure is None:
        return unexpected(response, command)
    facts = failure.facts
    return CapabilityError(
        f"starting a worker: {doing} on {description} failed: {facts.get('message', failure.text)}",
        hint=failure.hint,
        command=command,
        code=facts.get("code"),
    )
