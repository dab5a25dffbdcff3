"""The RPM families' repositories: empty packages under real names, with a real updateinfo."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import yaml

from agent.lab.cache import recipe
from agent.lab.run import run, write


def build_repositories(mirror: Path, scratch: Path) -> None:
    """Make `<family>/os` (what the host has) and `<family>/updates` (what its vendor offers) below the mirror."""
    families: dict[str, Any] = yaml.safe_load(recipe("rpm-packages.yaml"))
    for family, declared in families.items():
        for name in ("os", "updates"):
            (mirror / family / name).mkdir(parents=True)
        for source in declared["sources"]:
            _build(source, source["release"], declared, mirror / family / "os", scratch)
            if "update" in source:
                _build(source, source["update"]["release"], declared, mirror / family / "updates", scratch)
        for name in ("os", "updates"):
            run("createrepo_c", "--quiet", "--general-compress-type=gz", str(mirror / family / name))
        info = scratch / f"{family}-updateinfo.xml"
        write(info, updateinfo(declared))
        repodata = str(mirror / family / "updates" / "repodata")
        run("modifyrepo_c", "--mdtype=updateinfo", "--new-name=updateinfo.xml", str(info), repodata)


def spec(source: dict[str, Any], release: str, vendor: str) -> str:
    """An rpmbuild spec: the source package and its binary packages, all empty."""
    lines = [
        f"Name: {source['source']}",
        f"Version: {source['version']}",
        f"Release: {release}",
        f"Epoch: {source['epoch']}" if source.get("epoch") else "",
        f"Provides: {source['provides']}" if source.get("provides") else "",
        f"Vendor: {vendor}",
        "Summary: lab stand-in",
        "License: none",
        "%description",
        "An empty package under a real name.",
    ]
    for package in source["packages"]:
        option = "" if package == source["source"] else f"-n {package}"
        if option:
            lines += [f"%package {option}", "Summary: lab stand-in", f"%description {option}", "An empty package."]
        lines.append(f"%files {option}")
    return "\n".join(line for line in lines if line) + "\n"


def _build(source: dict[str, Any], release: str, declared: dict[str, Any], target: Path, scratch: Path) -> None:
    top = scratch / "rpmbuild"
    file = top / f"{source['source']}-{release}.spec"
    write(file, spec(source, release, declared["vendor"]))
    defines = {"_topdir": str(top), "_rpmdir": str(target), "debug_package": "%{nil}", "_build_name_fmt": "%{NVRA}.rpm"}
    options = [f"--define={name} {value}" for name, value in defines.items()]
    run("rpmbuild", "-bb", "--quiet", "--nodeps", f"--target={declared['arch']}", *options, str(file))


def updateinfo(declared: dict[str, Any]) -> str:
    """The advisories of a family in the updateinfo format of dnf and yum."""
    blocks = []
    for source in declared["sources"]:
        if "update" not in source:
            continue
        update = source["update"]
        packages = "".join(
            f'<package name={quoteattr(name)} epoch="{source.get("epoch", 0)}" version={quoteattr(source["version"])} '
            f'release={quoteattr(update["release"])} arch="{declared["arch"]}" src="">'
            f"<filename>{name}-{source['version']}-{update['release']}.{declared['arch']}.rpm</filename></package>"
            for name in source["packages"]
        )
        references = "".join(
            f'<reference href="https://www.cve.org/CVERecord?id={cve}" id="{cve}" title="{cve}" type="cve"/>'
            for cve in update["cves"]
        )
        title = escape(f"{update['severity']}: {source['source']} security update")
        blocks.append(
            f'<update from="lab" status="final" type="security" version="1"><id>{update["id"]}</id>'
            f"<title>{title}</title><severity>{update['severity']}</severity>"
            f'<issued date="{update["issued"]} 00:00:00"/>'
            f"<references>{references}</references><description>{title}</description>"
            f'<pkglist><collection short="updates"><name>updates</name>{packages}</collection></pkglist></update>'
        )
    return '<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n' + "\n".join(blocks) + "\n</updates>\n"
