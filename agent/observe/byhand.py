"""The collector as one file for a person to run, and the one file that it answers with. Pure.

A host that cannot be reached is asked by hand: `sh collect.sh ANSWER`. Both streams of the
collector go through variables of the shell into one text, so that nothing is left behind:

    secops-answer 1
    nonce: ...                 header, `key: value` lines up to an empty one
    (standard error)
    NONCE = out
    (standard output)
    NONCE = sha256 HEX         over all that stands above

The hash tells a broken or edited file; it is no signature, for whoever edits can also hash.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from agent.model.errors import AgentError
from agent.model.text import decode, one_line

MAGIC = b"secops-answer 1\n"
_NONCE = re.compile(r"[A-Za-z0-9]{16,64}")
_TRAILER = re.compile(rb"\n([A-Za-z0-9]{1,64}) = sha256 ([0-9a-f]{64})\s*\Z")
_NUMBER = re.compile(r"[0-9]{1,11}")
_RULE = "# ===="
_HEADER = """\
#!/bin/sh
# 离线采集脚本（secops-agent）：用于运维终端无法直接到达的主机，由人工执行，再把结果文件带回。
# Collector of secops-agent, for a host that cannot be reached: run it by hand, bring its answer back.
#
# 目标 target: {target}
# 生成 made:   {made} (UTC)
#
# 做什么：只读取系统、软件包、配置、账号（口令散列不离开主机，配置中的口令就地遮盖）、监听端口和中间件信息。
#         不修改任何内容，不安装、不联网更新软件源，不遗留临时文件。
# It only reads: packages, settings, accounts (no password hash), listeners, middleware. It changes nothing.
#
# 用法 run as root:   sh collect.sh answer.txt      （以 root 执行；一般一分钟以内）
#              or:   sh collect.sh > answer.txt    （非 root 亦可执行，但结果不完整 partial without root）
# 带回 bring back:   answer.txt 一个文件，原样带回（勿用编辑器打开另存，勿复制粘贴；可压缩打包）。内容为内部资料。
#                    that one file as it is, not opened in an editor, not pasted; packed is fine. Keep it confidential.
# 核对 verify:       sed '1,/^{rule}/d' collect.sh | sha256sum
#                    {digest}
{rule}
"""
_BODY = r"""_collect() (
{collector}
)
_main() {{
  LC_ALL=C; export LC_ALL; umask 077
  if [ -z "${{1-}}" ] && [ -t 1 ]; then
    echo "usage: sh collect.sh ANSWER-FILE    (as root; the answer is too long for a terminal)" >&2; exit 2
  fi
  if [ -n "${{1-}}" ] && {{ [ -e "$1" ] || [ -h "$1" ]; }}; then
    echo "collect.sh: $1 is there already; name a new file" >&2; exit 2
  fi
  if sha256sum </dev/null >/dev/null 2>&1; then _sum() {{ sha256sum; }}
  elif openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then _sum() {{ openssl dgst -sha256 -r; }}
  elif shasum -a 256 </dev/null >/dev/null 2>&1; then _sum() {{ shasum -a 256; }}
  else echo "collect.sh: neither sha256sum nor openssl nor shasum is here" >&2; exit 2; fi
  _uid=$(id -u)
  [ "$_uid" = 0 ] || echo "collect.sh: not root: what only root may read will be missing" >&2
  _begun=$(date +%s)
  # The inner substitution takes standard output, the outer one standard error; the last dot keeps final newlines.
  _body=$({{ _out=$(_collect </dev/null; echo .); }} 2>&1; printf '\n%s = out\n%s' {nonce} "$_out")
  _head=$(
    printf 'secops-answer 1\nnonce: %s\ntarget: %s\nmade: %s\n' {nonce} '{target}' '{made}'
    printf 'host: %s\nuid: %s\nbegun: %s\nended: %s\n' "$(uname -n)" "$_uid" "$_begun" "$(date +%s)"
  )
  _all=$(printf '%s\n\n%s' "$_head" "${{_body%.}}"; echo .)
  _all=${{_all%.}}
  _hash=$(printf '%s' "$_all" | _sum); _hash=${{_hash%% *}}
  if [ -z "${{1-}}" ]; then
    printf '%s\n%s = sha256 %s\n' "$_all" {nonce} "$_hash"
  elif (set -C; printf '%s\n%s = sha256 %s\n' "$_all" {nonce} "$_hash" >"$1"); then
    echo "collect.sh: written: $1 (sha256 in its last line: $_hash)" >&2
  else
    echo "collect.sh: cannot write $1; what is there of it is of no use" >&2; exit 2
  fi
}}
_main "$@"
"""
"""All in functions, called in the last line: a script that was cut on its way does nothing."""


def script(collector: str, *, nonce: str, target: str, made: str) -> str:
    """One POSIX sh file (dash, bash 4.2, busybox) that runs the collector and prints its answer.

    Args:
        collector: what `observe.host.script` composed, with the same nonce.
        nonce: letters and digits; it is in the answer and in each of its frames.
        target: the inventory's name of the host; empty when the script serves several.
        made: when, `2026-11-21T16:30:00Z`.

    Raises:
        ValueError: a value holds what has a meaning in sh.
    """
    if not (_NONCE.fullmatch(nonce) and re.fullmatch(r"[A-Za-z0-9_.:-]*", target + made)):
        raise ValueError(f"nonce, target or time: {nonce!r} {target!r} {made!r}")
    body = _BODY.format(collector=collector.rstrip("\n"), nonce=nonce, target=target, made=made)
    digest = hashlib.sha256(body.encode()).hexdigest()
    return _HEADER.format(target=target or "-", made=made, digest=digest, rule=_RULE) + body


@dataclass(frozen=True, slots=True)
class Brought:
    """An answer that was run by hand, read and found whole."""

    nonce: str
    target: str
    """Whom the script was made for; empty: for any host."""
    made: str
    host: str
    """What the host calls itself (uname -n), cleaned."""
    uid: str
    begun: int
    """Seconds since 1970 by the host's own clock."""
    ended: int
    stdout: bytes
    stderr: bytes
    sha256: str
    """As its last line has it, verified."""


def _whole(raw: bytes, where: str) -> tuple[bytes, str, str]:
    """The text above the trailer, the trailer's nonce and its hash, which agrees."""
    plain = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    for text in (raw, plain):  # a way that marks or ends lines otherwise changed nothing of what was said
        trailer = _TRAILER.search(text[-400:])
        end = len(text) - len(text[-400:]) + trailer.start() if trailer else 0
        if trailer and text.startswith(MAGIC):
            digest = hashlib.sha256(text[:end]).hexdigest()
            if digest == trailer[2].decode():
                return text[:end], trailer[1].decode(), digest
    again = "bring the file again as the script wrote it: packed, not opened in an editor, not pasted"
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise AgentError("was saved again in UTF-16 and can no longer be checked", where=where, remedy=again)
    if plain.startswith(b"#!/bin/sh"):
        message = "this is the collector itself, not its answer"
        raise AgentError(message, where=where, remedy="run it on the host: sh collect.sh answer.txt")
    if not plain.startswith(MAGIC):
        remedy = "name the file that `sh collect.sh answer.txt` wrote; see `agent collect-script`"
        raise AgentError("this is no answer of the collector", where=where, remedy=remedy)
    if not _TRAILER.search(plain[-400:]):
        raise AgentError(f"breaks off after {len(raw)} bytes: its last line is missing", where=where, remedy=again)
    message = "was changed on its way: the SHA-256 in its last line is another than that of its text"
    raise AgentError(message, where=where, remedy=again)


def read(raw: bytes, where: str) -> Brought:
    """Read an answer and check that it is whole.

    Args:
        raw: the file as it came; line ends of Windows and a byte-order mark are taken back.
        where: the file's name, for errors.

    Raises:
        AgentError: it is none, broke off, or was changed on its way.
    """
    text, nonce, digest = _whole(raw, where)
    head, _, body = text.partition(b"\n\n")
    fields = dict(line.partition(": ")[::2] for line in decode(head).split("\n")[1:])
    stderr, marked, stdout = (b"\n" + body).partition(f"\n{nonce} = out\n".encode())
    good = (
        marked
        and _NONCE.fullmatch(nonce)
        and fields.get("nonce") == nonce
        and all(_NUMBER.fullmatch(fields.get(key, "")) for key in ("begun", "ended", "uid"))
    )
    if not good:
        message = "its hash agrees, and yet it is not what the collector writes: nonce, times or parts are missing"
        raise AgentError(message, where=where, remedy="make a new script with `agent collect-script` and run it again")
    return Brought(
        nonce=nonce,
        target=one_line(fields.get("target", "")),
        made=one_line(fields.get("made", "")),
        host=one_line(fields.get("host", ""), 80),
        uid=fields["uid"],
        begun=int(fields["begun"]),
        ended=int(fields["ended"]),
        stdout=stdout,
        stderr=stderr,
        sha256=digest,
    )
