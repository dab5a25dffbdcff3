"""Kernel parameters on a real host: broken, hardened, verified, undone."""

from hardening import HostUnderChange, proves

from agent.model.change import Item


def test_a_network_parameter_is_set_now_and_for_the_next_boot_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "node-05")
    item = Item("a", "sysctl", {"net.ipv4.conf.all.accept_redirects": 0})
    proves(
        under,
        [item],
        broken="sysctl -qw net.ipv4.conf.all.accept_redirects=1; echo '# here' >/etc/sysctl.d/zz-secops.conf; chmod 600 /etc/sysctl.d/zz-secops.conf",
        mended="rm -f /etc/sysctl.d/zz-secops.conf; sysctl -qw net.ipv4.conf.all.accept_redirects=1",
    )
