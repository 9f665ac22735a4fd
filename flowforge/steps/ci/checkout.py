"""A commit's files in a folder: whom git may call is decided here, the rest happens within the step's isolation."""

import base64
import json as stdlib_json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flowforge.core.egress import AddressPolicy, EgressCancelled, EgressError, checked_url, egress, host_and_port
from flowforge.steps.base import Context, Credential, CredentialRefused, Failed, StepCancelled
from flowforge.steps.ci import fetcher
from flowforge.steps.ci.source import Source
from flowforge.steps.process import Limits, ProcessResult, run_process

_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_SAID: Final = 500
_FINAL: Final = frozenset({"git_missing", "git_too_old", "repository_too_large", "commit_mismatch"})

# What git says, in the language that the environment sets (C.UTF-8), and what it means.
_MEANINGS: Final = (
    (re.compile(r"could not read Username|Authentication failed|returned error: 40[13]\b"), "authentication_failed"),
    (re.compile(r"couldn't find remote ref|not our ref|unadvertised object|Needed a single revision"), "ref_not_found"),
    (re.compile(r"repository '.*' not found|does not appear to be a git repository"), "repository_not_found"),
    (re.compile(r"returned error: 30\d\b|unable to update url base from redirection"), "redirected"),
    (re.compile(r"fsck error|fsck-objects|bad object|invalid path|hasDot|gitmodules"), "repository_refused"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """How much is fetched at most."""

    pack_bytes: int = 1024**3  # as it is sent, and of each file
    max_bytes: int = 4 * 1024**3  # of all files
    max_files: int = 200_000  # and folders
    seconds: int = 900


CAPS: Final = Caps()


class NotCheckedOut(Exception):
    """The step fails with `failed`."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.failed = Failed(code=code, message=message, retryable=retryable)


def check_out(source: Source, context: Context, scratch: Path, *, folder: Path, caps: Caps = CAPS) -> str:
    """The id of the commit whose files are in `folder` now, with a repository of depth 1.

    Raises NotCheckedOut, CredentialRefused, StepCancelled, and what run_process raises.
    """
    if shutil.which("git") is None:
        raise NotCheckedOut("git_missing", "There is no git on this worker's machine: 2.37 or newer is needed.")
    if not context.settings.isolation.network:
        raise NotCheckedOut("no_network", "The project's steps have no network: nothing can be fetched.")
    request = {
        "url": source.url,
        "refspec": source.refspec,
        "commit": source.commit,
        "folder": str(folder),
        "pin": _pin(source.url, context),
        "header": _header(source.url, context),
        "seconds": caps.seconds,
        "pack_bytes": caps.pack_bytes,
        "max_files": caps.max_files,
        "max_bytes": caps.max_bytes,
    }
    result = run_process(
        [sys.executable, "-I", "-S", fetcher.__file__],
        context=context,
        scratch=scratch,
        stdin=stdlib_json.dumps(request).encode(),
        limits=Limits(file_bytes=caps.pack_bytes, memory_bytes=context.settings.process_memory_bytes),
        max_result_bytes=_MAX_ANSWER_BYTES,
    )
    return _commit(result)


def _pin(url: str, context: Context) -> str | None:
    """The checked addresses as curl takes them (CURLOPT_RESOLVE); None where the URL holds the address itself."""
    policy = AddressPolicy.parse(context.settings.allow_private_targets)
    parsed = checked_url(url)
    try:
        addresses = egress(context.settings.allow_private_targets).web_addresses(url, context.cancel)
    except EgressCancelled:
        raise StepCancelled(context.cancel.reason) from None
    except EgressError as error:
        raise NotCheckedOut(error.code, str(error), retryable=error.retryable) from None
    if parsed.scheme == "http" and not policy.lists(parsed.host, addresses):
        raise NotCheckedOut("target_refused", f"{parsed.host} is asked by https alone: the operator has not named it.")
    if list(addresses) == [parsed.host]:
        return None
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return f"{host_and_port(parsed)}:{shown}"


def _header(url: str, context: Context) -> str | None:
    """`Name: value` of the step's credential; a spelling that the run's secrets don't have is concealed too."""
    name = context.config.get("credential")
    host = host_and_port(checked_url(url))
    if name is None:
        return None
    header = _header_of(context.credential(name, host))
    if not header.isprintable():
        raise CredentialRefused("credential_type", f"The credential {name!r} holds what no header may hold.")
    context.credentials.conceal(header.rpartition(" ")[2])
    return header


def _header_of(credential: Credential) -> str:
    data: Mapping[str, Any] = credential.data
    if credential.type == "token":  # as GitHub, GitLab and Gitea take their tokens: the name is for show
        return f"Authorization: Basic {_pair('x-access-token', data['token'])}"
    if credential.type == "basic":
        return f"Authorization: Basic {_pair(data['username'], data['password'])}"
    if credential.type == "header":
        return f"{data['name']}: {data['value']}"
    message = f"A ci step cannot send the credential {credential.name!r}: it is of the type {credential.type}."
    raise CredentialRefused("credential_type", message)


def _pair(name: str, secret: str) -> str:
    """RFC 7617, in UTF-8."""
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


def _commit(result: ProcessResult) -> str:
    answer = stdlib_json.loads(result.result) if result.result else {}
    if "commit" in answer:
        return str(answer["commit"])
    code = answer.get("code", "git")
    if code != "git":
        raise NotCheckedOut(code, f"Not checked out: {answer['message']}.", retryable=code not in _FINAL)
    said = result.stderr.strip()
    meaning = next((found for pattern, found in _MEANINGS if pattern.search(said)), None)
    last = next((line for line in reversed(said.splitlines()) if line.startswith(("fatal:", "error:"))), result.reason)
    raise NotCheckedOut(meaning or "clone_failed", f"Not checked out: {last[:_MAX_SAID]}", retryable=meaning is None)
