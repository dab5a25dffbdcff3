"""What was seen of a target, or why it was not seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.model.asset import Layer


class Reason(StrEnum):
    """Why a target or a layer was not seen. Each has its row in findings and report; none is ever a pass."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    HOST_KEY_UNKNOWN = "host-key-unknown"
    HOST_KEY_CHANGED = "host-key-changed"
    AUTH_FAILED = "auth-failed"
    SUDO_DENIED = "sudo-denied"
    ALGORITHMS = "no-common-algorithms"
    BROKEN_OFF = "broken-off"
    TOO_MUCH = "too-much-output"
    GARBLED = "garbled"
    BASTION = "bastion-failed"
    TOOL = "tool-failed"
    CREDENTIAL = "credential-missing"
    UNSUPPORTED = "unsupported"
    GONE = "not-in-inventory"
    INTERNAL = "internal-error"

    @property
    def zh(self) -> str:
        """The words used in reports."""
        return {
            "refused": "连接被拒绝",
            "timeout": "超时无响应",
            "unreachable": "网络不可达",
            "host-key-unknown": "主机密钥未登记",
            "host-key-changed": "主机密钥与登记不符",
            "auth-failed": "身份认证失败",
            "sudo-denied": "提权被拒绝",
            "no-common-algorithms": "无共同加密算法",
            "broken-off": "应答中断",
            "too-much-output": "输出超出上限",
            "garbled": "应答无法解析",
            "bastion-failed": "跳板机不可用",
            "tool-failed": "扫描工具失败",
            "credential-missing": "缺少凭据",
            "unsupported": "暂不支持",
            "not-in-inventory": "已不在资产清单中",
            "internal-error": "程序内部错误",
        }[self.value]


@dataclass(frozen=True, slots=True)
class Unreached:
    """A target's layer that was not seen, and why. A value, never only a log line."""

    target: str
    layer: Layer
    reason: Reason
    detail: str
    """One cleaned line for the operator; hostile text has passed `model.text.clean`."""
