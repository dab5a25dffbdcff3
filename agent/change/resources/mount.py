"""Mount options of folders that everybody may write to.

fix: {resource: mount_option, want: {/dev/shm: [nodev, nosuid, noexec], /tmp: [nodev, nosuid]}}

Only what is a mount of its own is changed: a /tmp in the root file system is told. What is mounted now is mounted anew
with the options; for the next boot its line in /etc/fstab gets them, or for /tmp as a unit (tmp.mount) a drop-in; a
/dev/shm without a line gets one, as systemd-remount-fs(8) reads it. In a container that its host mounts for, the options
hold until it begins again: its host sets them.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

FSTAB = "/etc/fstab"
DROPIN = "/etc/systemd/system/tmp.mount.d/secops.conf"
_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/home")  # noqa: S108 - mount points, not files of ours
_OPTIONS = ("nodev", "nosuid", "noexec")
_SPEC = re.compile(r"[A-Za-z0-9=,._%:/+-]+")


class MountOption:
    """mount_option: see the module."""

    name = "mount_option"
    library = ("mounts",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want or set(want) - set(_FOLDERS):
            raise FixError(f"fix.want: mount points among {', '.join(_FOLDERS)}, with their options")
        for path, options in want.items():
            if not isinstance(options, list) or not options or set(options) - set(_OPTIONS):
                raise FixError(f"fix.want.{path}: a list of {', '.join(_OPTIONS)}")

    def read(self, item: Item, facts: Facts) -> str:
        """`now PATH OPTIONS`, `tab PATH OPTIONS`, `unit` when /tmp is systemd's, `dropin OPTIONS`."""
        del facts
        paths = "|".join(map(str, item.want))
        return f"""[ -r "$R/proc/self/mounts" ] || exit 2
awk '$2~"^({paths})$"{{print "now",$2,$4}}' "$R/proc/self/mounts"
awk '$1!~/^#/&&$2~"^({paths})$"{{print "tab",$2,$4}}' "$R{FSTAB}" 2>/dev/null
if [ -L "$R{FSTAB}" ] || [ ! -f "$R{FSTAB}" ]; then echo notab; fi
for d in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do if [ -f "$R$d/tmp.mount" ]; then
  echo unit; sed -n 's/^Options=/unitopts /p' "$R$d/tmp.mount" | tail -n 1; break; fi; done
[ ! -r "$R{DROPIN}" ] || sed -n 's/^Options=/dropin /p' "$R{DROPIN}"
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a mount that lacks an option, now or at the next boot."""
        seen: dict[tuple[str, str], str] = {}
        for line in answer.text.splitlines():
            match line.split(" "):
                case ["now" | "tab" as word, path, options] if _SPEC.fullmatch(options):
                    seen[word, path] = options  # the last mount covers those before
                case ["unit" | "notab" as word]:
                    seen[word, ""] = "yes"
                case ["unitopts" | "dropin" as word, options] if _SPEC.fullmatch(options):
                    seen[word, ""] = options
        steps = []
        apart = []
        for path, wanted in item.want.items():
            if ("now", path) not in seen:
                apart.append(path)
                continue
            step = _step(item, path, wanted, seen, shared=facts["container"] == "yes")
            if step:
                steps.append(step)
        if not steps and len(apart) == len(item.want):
            return Skip(Why.MANUAL, f"不是单独的挂载点，须先划分分区或启用 tmp.mount：{'、'.join(apart)}")
        return tuple(steps)


def _lacks(options: str, wanted: list[str]) -> list[str]:
    return [each for each in wanted if each not in options.split(",")]


def _step(item: Item, path: str, wanted: list[str], seen: dict[tuple[str, str], str], *, shared: bool) -> Step | None:
    now = seen["now", path]
    lacking = _lacks(now, wanted)
    writes, handles, acts, note = [], [], [], ""
    if shared:
        note = "容器的挂载由宿主机决定，重启容器后须由宿主机设置"
    elif ("tab", path) in seen or path != "/tmp":  # noqa: S108 - as above
        held = seen.get(("tab", path), "")
        if ("notab", "") not in seen and _lacks(held, wanted) and (held or path == "/dev/shm"):  # noqa: S108 - as above
            writes.append(f"mnt_tab {quote(path)} {quote(','.join(wanted))}")
            handles.append(Handle("file", (FSTAB,)))
    elif ("unit", "") in seen and _lacks(seen.get(("dropin", ""), seen.get(("unitopts", ""), "")), wanted):
        held = seen.get(("dropin", ""), seen.get(("unitopts", ""), "mode=1777,strictatime"))
        options = ",".join(dict.fromkeys([*held.split(","), *wanted]))
        writes.append(f"printf '[Mount]\\nOptions=%s\\n' {quote(options)} | e_put {DROPIN} 644")
        handles.append(Handle("file", (DROPIN,)))
        acts.append(Act("daemon_reload"))
    if lacking:
        writes.append(f"mnt_again {quote(path)} {quote(','.join(lacking))}")
        handles.append(Handle("mount", (path,)))
    if not writes:
        return None
    return Step(
        "mount_option",
        "system",
        path,
        ",".join(each for each in _OPTIONS if each in now.split(",")) or "未设置",
        ",".join(each for each in _OPTIONS if each in {*now.split(","), *wanted}),
        " &&\n".join(writes),
        handles=tuple(handles),
        source=FSTAB if ("tab", path) in seen else "挂载表",
        acts=tuple(acts),
        risk=item.risk,
        note=note,
    )


RESOURCES = (MountOption(),)
