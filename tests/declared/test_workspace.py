import re
import stat
from pathlib import Path

import pytest

from agent.declared import load_contract, load_exceptions, load_inventory, load_people, load_periods
from agent.declared.accounts import ACCOUNTS, AccountsFile
from agent.declared.passwords import PASSWORDS, PasswordsFile
from agent.declared.workspace import make_workspace
from agent.declared.yamlfile import load, parse
from agent.model.errors import RefusedError


def test_a_new_workspace_reads_clean(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    written = make_workspace(folder)
    assert all((folder / path).is_file() for path in written)
    assert load_inventory(folder).targets == ()
    assert load_people(folder) == ()
    assert load_exceptions(folder) == ()
    assert load_contract(folder).project
    assert len(load_periods(folder)) == 9
    assert stat.S_IMODE((folder / "state").stat().st_mode) == 0o700
    assert "state/" in (folder / ".gitignore").read_text().splitlines()


def test_what_the_starters_show_in_comments_is_accepted(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    for name in ("hosts", "databases", "people"):
        file = tmp_path / "inventory" / f"{name}.yaml"
        head, text = file.read_text("utf-8").split("schema_version: 1\n")
        assert all(line.startswith("#") for line in head.splitlines())
        text = re.sub(r"(?m)^( *)# ", r"\1", text).replace(": []", ":").replace(": {}", ":")
        text = text.replace("bastion: jump-01", "bastion: ''").replace("host: db-01", "host: web-01")
        file.write_text(f"schema_version: 1\n{text}", "utf-8")
    found = load_inventory(tmp_path)
    assert [target.name for target in found.targets] == ["web-01", "pg-main"]
    assert found.host("web-01").listeners == ("tcp/22", "tcp/443")
    assert len(load_people(tmp_path)) == 4
    for path, model, count in ((ACCOUNTS, AccountsFile, 4), (PASSWORDS, PasswordsFile, 1)):
        head, text = (tmp_path / path).read_text("utf-8").split("schema_version: 1\n")
        assert all(line.startswith("#") for line in head.splitlines())
        text = re.sub(r"(?m)^( *)# ", r"\1", text).replace(": []", ":")
        (tmp_path / path).write_text(f"schema_version: 1\n{text}", "utf-8")
        entries = parse(load(tmp_path / path), model)
        assert len(getattr(entries, "accounts", None) or entries.policies) == count


@pytest.mark.parametrize("there", ["inventory/hosts.yaml", "periods.yaml", ".gitignore"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / there).write_text("mine")
    with pytest.raises(RefusedError, match="will not overwrite"):
        make_workspace(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / there]
    assert files[0].read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError) as caught:
        make_workspace(tmp_path / "file" / "ws")
    assert caught.value.remedy
