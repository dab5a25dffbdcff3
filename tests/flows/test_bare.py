"""A bare list is judged only where there is one."""

import pytest

from agent.app import App
from agent.declared.workspace import make_workspace
from agent.flows.bare import judge_list
from agent.model.errors import AgentError


@pytest.mark.parametrize("system", ["debian:12", "almalinux:8", "windows:10.0.14393.6351"])
def test_an_empty_list_is_refused_and_not_clean(tmp_path, system):
    make_workspace(tmp_path / "w")
    (tmp_path / "list.txt").write_bytes(b"")
    with pytest.raises(AgentError, match=r"no installed package|no KB number"):
        judge_list(App(tmp_path / "w"), system, tmp_path / "list.txt", product="Windows Server 2016")
