"""Words of the 安全加固报告."""

from __future__ import annotations

from agent.model.change import Closure, Risk, TxState

CLOSURES = {
    Closure.FIXED: "good",
    Closure.REBOOT: "medium",
    Closure.ACCEPTED: "info",
    Closure.NO_FIX: "unknown",
    Closure.UNVERIFIED: "medium",
    Closure.ROLLED_BACK: "high",
    Closure.LEFT: "low",
    Closure.FAILED: "critical",
}
"""Colours of the states."""
TX = {
    TxState.PLANNED: ("未执行", "unknown"),
    TxState.SENT: ("已下发，结果未知", "high"),
    TxState.ABSENT: ("未开始", "unknown"),
    TxState.OPENED: ("已开始，未写入", "unknown"),
    TxState.ARMED: ("未确认", "high"),
    TxState.CONFIRMED: ("已确认", "good"),
    TxState.UNDOING: ("正在撤销", "high"),
    TxState.UNDONE: ("已撤销", "high"),
    TxState.BROKEN: ("撤销未完成", "critical"),
    TxState.UNFINISHED: ("中途停止", "critical"),
    TxState.UNKNOWN: ("状态未知", "high"),
}
"""Words and colours of a transaction's state."""
IMPACT = {
    Risk.LOCKOUT: "登录方式收紧，改错会影响登录：须经新登录核验，否则自动撤销",
    Risk.RESTART: "须重启相应服务，期间短时中断",
    Risk.REBOOT: "须重启主机方能生效，凭委托单位书面申请",
    Risk.ACCOUNT_EXPIRY: "账户口令可能到期，须先更换口令",
    Risk.APP_BREAK: "依赖旧设置的应用可能受影响，须观察",
}
"""What a change may mean for the business."""
METHODS = {
    "sshd_option": "新登录后 sshd -T 读取生效值",
    "sysctl": "新登录后 sysctl -n 读取运行值，并核对落盘文件",
    "package": "新登录后查询软件包数据库中的版本",
    "file_mode": "新登录后 stat 读取权限与属主",
    "service_state": "新登录后 systemctl is-active、is-enabled",
    "login_defs": "新登录后读取 /etc/login.defs",
    "pwquality": "新登录后读取 pwquality 生效值",
    "faillock": "新登录后读取 faillock 生效值",
    "pam_profile": "新登录后读取 PAM 栈",
    "account": "新登录后读取账户的锁定与期限字段（不读口令）",
    "mysql_variable": "新连接 SHOW GLOBAL VARIABLES",
    "pg_setting": "新连接读取 pg_settings",
    "pg_hba": "新连接读取 pg_hba_file_rules",
    "sql_account": "新连接查询账户目录（不读口令）",
}
"""How a value is read before and after, by resource type."""
ARMED = {"systemd-run": "systemd 定时器", "at": "at 作业", "nohup": "后台进程"}
"""What would have undone it by itself."""
GROUPS_ZH = {
    "packages": "软件包",
    "system": "内核参数",
    "files": "文件权限",
    "services": "服务",
    "audit": "审计",
    "logging": "日志",
    "nginx": "Nginx",
    "redis": "Redis",
    "tomcat": "Tomcat",
    "mysql": "MySQL/MariaDB",
    "postgresql": "PostgreSQL",
    "accounts": "账户",
    "pam": "口令与锁定",
    "sudo": "sudo",
    "sshd": "SSH 服务",
    "firewall": "防火墙",
}


def reads(resource: str) -> str:
    """How a value of a resource type without words of its own is read."""
    return f"新登录后以同一方法重新读取（{resource}）"
