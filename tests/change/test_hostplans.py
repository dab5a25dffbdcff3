"""What the host's resource types make of what a target says: canned answers, hostile ones among them."""

import pytest

from agent.change.contract import Facts, FixError
from agent.change.registry import check, registry
from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.model.change import Item, Risk, Skip, Why
from agent.model.frames import Answer

FACTS = Facts({"from": "10.66.0.1", "container": "no"})
SHARED = Facts({"from": "10.66.0.1", "container": "yes"})


def plan(item, text, facts=FACTS, rc=0):
    check(item)
    assert registry()[item.resource].read(item, facts)
    return registry()[item.resource].plan(item, Answer(rc, text, ""), facts)


def skipped(found, why):
    assert isinstance(found, Skip), found
    assert found.why is why
    return found.text


def test_every_fix_is_of_its_resources_form():
    values = {"{{ssh_sources}}": "10.66.0.0/24", "{{log_host}}": "10.66.0.1"}
    for control in load_playbooks([shipped_playbooks()]):
        if (
            control.id.split("-")[1] not in {"IP", "AU", "DI", "DC", "BK", "RI", "MC", "TV"}
            or control.target != "linux"
        ):
            continue
        want = control.fix.get("want")
        if isinstance(want, dict):
            want = {key: values.get(str(value), value) for key, value in want.items()}
        options = {key: value for key, value in control.fix.items() if key not in {"resource", "want"}}
        check(Item(control.id, str(control.fix["resource"]), want, options))
        assert control.fix["resource"] != "manual" or control.remedy, control.id


@pytest.mark.parametrize(
    ("resource", "want", "options"),
    [
        ("sysctl", {}, {}),
        ("sysctl", {"net.x; reboot": 1}, {}),
        ("sysctl", {"net.x": "1; reboot"}, {}),
        ("sysctl", {"net.x": True}, {}),
        ("file_mode", {"etc/x": "0640"}, {}),
        ("file_mode", {"/etc/*/x": "0640"}, {}),
        ("file_mode", {"/etc/a b*": "0640"}, {}),
        ("file_mode", {"/etc/x": "u+s"}, {}),
        ("file_mode", {"/etc/x": "0640 root;id"}, {}),
        ("file_mode", {"mode": "0640"}, {"select": "suid"}),
        ("file_line", {"path": "/etc/shadow", "lines": ["x"]}, {}),
        ("file_line", {"path": "/etc/x/../shadow", "lines": ["x"]}, {}),
        ("file_line", {"path": "/tmp/x", "lines": ["x"]}, {}),
        ("file_line", {"path": "/etc/x", "lines": ["a\nb"]}, {}),
        ("file_line", {"path": "/etc/x", "lines": ["a"], "keys": {"a": 1}}, {}),
        ("file_line", {"path": "/etc/x", "keys": {"a": "b"}, "mode": "rw"}, {}),
        ("service_state", {"active": "no"}, {"names": ["x"]}),
        ("service_state", {"active": False}, {}),
        ("service_state", {"active": False}, {"names": ["a b"]}),
        ("firewall_rule", {"port": "ssh", "sources": []}, {}),
        ("firewall_rule", {"port": "ssh", "sources": "0.0.0.0/0; drop"}, {}),
        ("firewall_rule", {"port": True, "sources": "10.0.0.0/8"}, {}),
        ("firewall_rule", {"policy": "accept"}, {}),
        ("auditd_rules", {"path": "/etc/passwd", "lines": ["-w /x -p wa -k y"]}, {}),
        ("auditd_rules", {"path": "/etc/audit/rules.d/a.rules", "lines": ["rm -rf"]}, {}),
        ("mount_option", {"/": ["nodev"]}, {}),
        ("mount_option", {"/tmp": ["exec"]}, {}),
        ("cron_allow", ["anacron"], {}),
    ],
)
def test_malformed_fixes_are_refused(resource, want, options):
    with pytest.raises(FixError):
        check(Item("x", resource, want, options))


HOSTILE = [
    "",
    "\n\n",
    "run",
    "run a/b",
    "fixed",
    "set a b",
    "0 999 x y /z",
    "² 644 root root /etc/x",
    "s 4777 root root /etc/$(id)",
    "1 644 root",
    "at",
    "at x",
    "unit a b",
    "serves",
    "entry inetd /etc/passwd telnet tcp 23",
    "real /etc/shadow\nthere\n|x",
    "backend nft\nsystemd\nnow \nfile ",
    "auditd yes\nenabled\nrule",
    "now /dev/shm rw,$(id)",
    "allow cron rw root",
    "user cron $(id)",
    "== /etc/../x y\n|z",
    "\x00\x1b[2J",
    "has at\nlink at",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "item",
    [
        Item("a", "sysctl", {"net.ipv4.conf.*.send_redirects": 0}),
        Item("b", "file_mode", {"/etc/x": "0600 root"}),
        Item("c", "file_line", {"path": "/etc/x", "keys": {"a": "b"}}),
        Item("d", "service_state", {"active": False}, {"names": ["inetd"]}),
        Item("e", "firewall_rule", {"port": "ssh", "sources": "10.66.0.0/24"}),
        Item("f", "auditd_rules", {"enabled": 1}),
        Item("g", "mount_option", {"/dev/shm": ["noexec"]}),
        Item("h", "cron_allow", ["cron", "at"]),
        Item("i", "log_rotation", {"rotate": 27, "period": "weekly"}),
        Item("j", "log_forward", {"target": "10.66.0.1"}),
    ],
)
def test_whatever_a_target_says_is_no_error_of_ours_and_no_command(item, text):
    found = plan(item, text)
    for step in () if isinstance(found, Skip) else found:
        assert "$(id)" not in step.write


# --- kernel parameters ---
SEND = Item("s", "sysctl", {"net.ipv4.conf.*.send_redirects": 0, "kernel.printk": "3 4 1 7"})


def sysctl(*lines, item=SEND):
    return plan(item, "\n".join(lines))


def test_a_pattern_is_every_interface_that_stays():
    run = [f"run net/ipv4/conf/{name}/send_redirects 1" for name in ("all", "eth0.100", "veth12")]
    all_, vlan = sysctl(*run, "run kernel/printk 3 4 1 7")
    assert "zz-secops.conf ' = ' net.ipv4.conf.all.send_redirects 0" in all_.write
    assert "net/ipv4/conf/eth0.100/send_redirects=0" in vlan.write, "a name's own dot stays a dot"
    assert [handle.args[0] for handle in all_.handles] == [
        "/etc/sysctl.d/zz-secops.conf",
        "net.ipv4.conf.all.send_redirects",
    ]


def test_values_of_several_numbers_are_compared_as_such():
    (step,) = sysctl("run kernel/printk 4 4 1 7")
    assert (step.before, step.after) == ("4 4 1 7", "3 4 1 7")
    assert sysctl("run kernel/printk 3 4 1 7") == ()


@pytest.mark.parametrize(
    ("lines", "drops"),
    [
        (["set 10-a.conf /etc/sysctl.d/10-a.conf 3 kernel.printk 1"], ""),  # read before ours: ours wins
        (["set zzz.conf /etc/sysctl.d/zzz.conf 3 kernel.printk 1"], "e_drop /etc/sysctl.d/zzz.conf kernel.printk"),
        (["set - /etc/sysctl.conf 3 -kernel/printk 1"], "e_drop /etc/sysctl.conf -kernel/printk"),
        (["set - /etc/sysctl.conf 3 kernel.printk 3 4 1 7"], None),  # says the same
        (
            ["set zzz.conf /etc/sysctl.d/zzz.conf 3 kernel.* 1"],
            "",
        ),  # a pattern is weaker than a key that is written out
        (["set 99-sysctl.conf /etc/sysctl.conf 1 kernel.printk 3 4 1 7"], None),
    ],
)
def test_what_sets_it_at_boot_counts(lines, drops):
    found = sysctl("run kernel/printk 3 4 1 7", *lines)
    if drops is None:
        assert found == ()
        return
    (step,) = found
    assert "zz-secops.conf ' = ' kernel.printk '3 4 1 7'" in step.write
    assert "sysctl -q" not in step.write, "it runs with that value already"
    assert ("e_drop" in step.write) == bool(drops)
    assert drops in step.write


def test_what_cannot_be_written_is_told_by_key_and_the_rest_is_done():
    fixed = ["run kernel/printk 4 4 1 7", "fixed kernel/printk"]
    assert "kernel.printk" in skipped(sysctl(*fixed), Why.UNSUPPORTED)
    (step,) = sysctl(*fixed, "run net/ipv4/conf/all/send_redirects 1")
    assert "kernel.printk" in step.note
    skipped(sysctl(""), Why.UNSUPPORTED)


# --- modes ---
@pytest.mark.parametrize(
    ("want", "seen", "write"),
    [
        ("0640 root:shadow", "0 666 root root /etc/x", "chown -h root:shadow /etc/x && chmod u-,g-w,o-rw /etc/x"),
        ("0640", "0 600 www www /etc/x", ""),
        ("0640 root", "0 640 www UNKNOWN /etc/x", "chown -h root /etc/x"),
        ("0755", "0 4777 root root /etc/x", "chmod u-s,g-w,o-w /etc/x"),
        ("755", "0 4777 root root /etc/x", "chmod g-w,o-w /etc/x"),  # three digits say nothing of set-id
        ("0700", "0 3755 root root /etc/x", "chmod g-rxs,o-rx,-t /etc/x"),
        ("o-w", "0 646 root root /etc/x", "chmod o-w /etc/x"),
        ("0000", "0 644 root root /etc/x", "chmod u-rw,g-r,o-r /etc/x"),
    ],
)
def test_rights_are_taken_by_name_and_never_given(want, seen, write):
    found = plan(Item("m", "file_mode", {"/etc/x": want}), seen)
    if not write:
        assert found == ()
        return
    (step,) = found
    assert step.write.removeprefix("[ ! -L /etc/x ] && ") == write.replace("u-,", "")


# --- services ---
OFF = {"active": False, "enabled": False}
UNITS = """at /lib/systemd/system/rpcbind.socket {0}
at /lib/systemd/system/inetd.service {0}
at /lib/systemd/system/ssh.service {0}
at /etc/systemd/system/sshd.service /lib/systemd/system/ssh.service
at /lib/systemd/system/chrony.service {0}
at /etc/systemd/system/multi-user.target.wants/inetd.service /lib/systemd/system/inetd.service
at /etc/systemd/system/ntpd.service /dev/null
at /lib/systemd/system/ntpd.service {0}
at /etc/systemd/system/ghost.service /dev/null
unit rpcbind.socket loaded active
unit inetd.service loaded active
serves rpcbind.socket tcp/111
serves inetd.service tcp/23
""".format("")  # no link: nothing behind the space
TELNET = "entry inetd /etc/inetd.conf telnet tcp 23\n"


def service(names, text, want=None, **options):
    return plan(Item("s", "service_state", want or OFF, {"names": names, **options}), text)


def test_a_unit_of_a_declared_port_stays():
    assert "tcp/111" in skipped(service(["rpcbind.socket"], UNITS, listeners=["tcp/111"]), Why.UNSAFE)
    (step,) = service(["rpcbind.socket"], UNITS, listeners=["udp/111", "tcp/22"])
    assert step.write == "systemctl stop rpcbind.socket 2>&1"


def test_the_way_in_stays_whatever_its_unit_is_called():
    skipped(service(["sshd"], UNITS), Why.UNSAFE)
    skipped(service(["inetd"], UNITS, ssh_port=23), Why.UNSAFE)


def test_a_super_server_goes_when_it_has_nothing_else_and_else_only_its_entries():
    (step,) = service(["inetd"], UNITS + TELNET)
    assert step.name == "inetd.service"
    (step,) = service(["inetd"], UNITS + TELNET + "entry inetd /etc/inetd.conf amanda tcp 10080\n")
    assert (step.name, step.handles[0].args) == ("inetd telnet", ("/etc/inetd.conf",))
    assert "amanda" in step.note
    skipped(service(["inetd"], UNITS + TELNET.replace("telnet", "amanda")), Why.UNSAFE)
    text = skipped(service(["inetd"], UNITS + TELNET, listeners=["tcp/23"]), Why.UNSAFE)
    assert "telnet" in text


def test_on_takes_what_runs_else_what_is_there_and_lifts_a_mask_only_from_something():
    on = {"active": True, "enabled": True}
    (step,) = service(["ntpd", "chrony"], UNITS, on)
    assert step.name == "chrony.service"
    (step,) = service(["ntpd"], UNITS, on)
    assert step.write.startswith("systemctl unmask ntpd.service")
    skipped(service(["ghost", "nowhere"], UNITS, on), Why.UNSUPPORTED)
    assert service(["ghost"], UNITS) == ()


# --- packet filter ---
SSH = Item("f", "firewall_rule", {"port": "ssh", "sources": ["10.66.0.0/24", "2001:db8::/64"]}, {"ssh_port": 2222})
INBOUND = Item("i", "firewall_rule", {"policy": "drop"}, {"listeners": ["tcp/80", "udp/53", "x"], "ssh_port": 2222})
NFT = "backend nft\nsystemd\nowner nftables.service\n"


def test_nothing_is_done_that_would_shut_us_out():
    skipped(plan(SSH, NFT, Facts({"from": "192.0.2.9"})), Why.UNSAFE)
    skipped(plan(SSH, NFT, Facts({})), Why.UNSAFE)
    skipped(plan(SSH, "backend none\nsystemd\n"), Why.UNSUPPORTED)
    skipped(plan(SSH, "backend iptables\nsystemd\nfirewalld\n"), Why.MANUAL)
    skipped(plan(Item("i", "firewall_rule", {"policy": "drop"}), NFT), Why.MANUAL)


def test_the_table_lets_replies_loopback_and_sources_pass_and_is_loaded_again():
    (step,) = plan(SSH, NFT)
    rules = [line.strip() for line in step.write.splitlines()]
    accepted = [line for line in rules if line.endswith("accept") and "policy" not in line]
    assert accepted[0] == "ct state established,related accept"
    assert accepted[1:] == [
        "tcp dport 2222 ip saddr 10.66.0.0/24 accept",
        "tcp dport 2222 ip6 saddr 2001:db8::/64 accept",
    ]
    assert rules.index("tcp dport 2222 drop") > rules.index(accepted[-1])
    assert "forward" not in step.write
    assert "/etc/systemd/system/nftables.service.d/secops-firewall.conf" in [handle.args[0] for handle in step.handles]
    assert Risk.LOCKOUT in step.risk


def test_with_iptables_both_families_are_spoken_of():
    (step,) = plan(SSH, "backend iptables\nsystemd\n")
    assert "-s 2001:db8::/64 -p tcp --dport 2222 -j RETURN" in step.write
    assert "ACCEPT" not in step.write, "the first of two chains would let in what the second shuts out"
    assert [handle.args for handle in step.handles if handle.kind == "iptchain"] == [
        ("SECOPS", "iptables"),
        ("SECOPS", "ip6tables"),
    ]


def test_what_is_not_declared_is_dropped_and_named():
    (step,) = plan(INBOUND, NFT + "open tcp/2222\nopen tcp/9000\nopen udp/53\n")
    assert "tcp/9000" in step.note
    assert "udp/53" not in step.note
    for line in ("tcp dport 2222 accept", "tcp dport 80 accept", "udp dport 53 accept", "meta l4proto tcp drop"):
        assert f"    {line}\n" in step.write


def test_it_is_done_only_when_file_kernel_and_boot_agree():
    (step,) = plan(SSH, NFT)
    text = step.write.split("printf %s '", 1)[1].split("' | e_put", 1)[0]
    rules = [
        line.strip()
        for line in text.splitlines()
        if line.strip().endswith(("accept", "drop", '"')) and "policy" not in line
    ]
    told = [*(f"file {line}" for line in text.splitlines()), *(f"now \t\t{line}" for line in rules)]
    done = NFT + "\n".join([*told, "enabled", "hook nftables.service"])
    assert plan(SSH, done) == ()
    assert plan(SSH, done.replace("\nenabled", "")) != ()
    assert plan(SSH, done.replace("\nhook nftables.service", "")) != ()
    assert plan(SSH, done.replace("now \t\ttcp dport 2222 drop\n", "")) != ()
    other = Item("f", "firewall_rule", {"port": "ssh", "sources": ["10.66.0.0/25"]}, {"ssh_port": 2222})
    assert plan(other, done) != ()


# --- audit ---
RULES = ["-w /etc/passwd -p wa -k identity", "-w /etc/sudoers.d/ -p wa -k scope"]
AUDIT = Item("r", "auditd_rules", {"path": "/etc/audit/rules.d/50-x.rules", "lines": RULES})
CONF = Item(
    "c",
    "auditd_rules",
    {"path": "/etc/audit/auditd.conf", "max_log_file": 100, "num_logs": 20, "disk_full_action": "SYSLOG"},
)
HERE = "auditd yes\nenabled 1\n"
MINE, OTHER, SET = (f"at /etc/audit/{name}\n" for name in ("rules.d/50-x.rules", "rules.d/other.rules", "auditd.conf"))


def test_only_rules_that_no_file_has_are_written():
    (step,) = plan(AUDIT, HERE + f"{OTHER}line {RULES[0]}\n{MINE}line # mine")
    assert RULES[1] in step.write
    assert RULES[0] not in step.write
    assert "# mine" in step.write


def test_rules_are_done_when_the_kernel_has_them_or_cannot_take_them():
    written = OTHER + "".join(f"line {rule}\n" for rule in RULES)
    loaded = (
        "rule -w /etc/passwd -p wa -k identity\nrule -a always,exit -F dir=/etc/sudoers.d -F perm=wa -F key=scope\n"
    )
    assert plan(AUDIT, HERE + written + loaded) == ()
    (step,) = plan(AUDIT, HERE + written)
    assert (step.before, step.write) == ("规则未加载", "aud_load")
    assert plan(AUDIT, "auditd yes\nenabled 2\n" + written) == ()
    (step,) = plan(AUDIT, "auditd yes\nenabled 2\n")
    assert Risk.REBOOT in step.risk
    assert plan(AUDIT, "auditd yes\n" + written, SHARED) == ()


def test_a_container_gets_files_and_is_told():
    (step,) = plan(AUDIT, "auditd yes\n", SHARED)
    assert {handle.kind for handle in step.handles} == {"file"}
    assert "aud_load" not in step.write
    skipped(plan(Item("e", "auditd_rules", {"enabled": 1}), "auditd yes\n", SHARED), Why.UNSUPPORTED)
    skipped(plan(AUDIT, "auditd no\n"), Why.UNSUPPORTED)


def test_numbers_of_auditd_are_minima_and_somebodys_choice_stays():
    assert plan(CONF, HERE + SET + "line max_log_file = 500\nline num_logs=20\nline disk_full_action = exec /x") == ()
    steps = plan(CONF, HERE + SET + "line max_log_file = 8\nline #num_logs = 99\nline disk_full_action = HALT")
    assert [(step.before, step.after) for step in steps] == [("8", "100"), ("未设置", "20"), ("HALT", "SYSLOG")]


# --- mounts, cron, lines ---
MOUNTS = Item("m", "mount_option", {"/dev/shm": ["nodev", "noexec"], "/tmp": ["nodev"]})


def test_a_mount_is_changed_now_and_for_the_next_boot_where_it_is_one():
    (step,) = plan(MOUNTS, "now /dev/shm rw,nosuid,nodev\n")
    assert step.write == "mnt_tab /dev/shm nodev,noexec &&\nmnt_again /dev/shm noexec"
    (step,) = plan(MOUNTS, "now /dev/shm rw,nosuid,nodev\n", SHARED)
    assert step.write == "mnt_again /dev/shm noexec"
    (step,) = plan(
        MOUNTS,
        "now /dev/shm rw,nodev,noexec\ntab /dev/shm rw,nodev,noexec\nnow /tmp rw\nunit\nunitopts mode=1777,nosuid\n",
    )
    assert "Options=%s\\n' mode=1777,nosuid,nodev | e_put" in step.write
    skipped(plan(MOUNTS, ""), Why.MANUAL)


def test_lists_of_cron_hold_those_who_use_it_and_are_never_opened():
    item = Item("c", "cron_allow", ["cron", "at"])
    (step,) = plan(item, "has cron\nuser cron www-data\nuser cron root\nuser at ops\n")
    assert step.write == "printf '%s\\n' root www-data | e_put /etc/cron.allow 640"
    assert plan(item, "has cron\nallow cron 600 root\n") == ()
    (step,) = plan(item, "has cron\nhas at\nallow cron 600 root\nallow at 644 daemon\n")
    assert (step.name, step.after) == ("/etc/at.allow", "0640 root")


def test_a_key_counts_in_its_section_and_by_its_last_line():
    item = Item("k", "file_line", {"path": "/etc/x.conf", "section": "J", "keys": {"Storage": "persistent"}})
    good = "real /etc/x.conf\nthere\n|[A]\n|Storage=no\n|[J]\n|#Storage=no\n|Storage = no\n|Storage = persistent\n"
    assert plan(item, good) == ()
    (step,) = plan(item, good + "|Storage=volatile\n")
    assert step.before == "volatile"
    skipped(plan(item, "real /etc/pam.d/x\n"), Why.ERROR)
    skipped(
        plan(
            Item("k", "file_line", {"path": "/etc/x", "lines": ["a"]}, {"needs": "/etc/y"}), "real /etc/x\nneeds no\n"
        ),
        Why.UNSUPPORTED,
    )
