"""Names of products outside package managers: what a host calls them, and by which names feeds speak of them.

CPE names are `vendor:product` as `streams.product` spells them; Maven names are `group:artifact`. Of a project's
several jars one alone bears the CPE name, so that a library is judged once.
"""

from __future__ import annotations

_CPE: dict[str, tuple[str, ...]] = {
    "activemq": ("apache:activemq",),
    "dm8": ("dameng:dm_database", "dameng:dm8", "dameng:dameng_database"),
    "elasticsearch": ("elastic:elasticsearch", "elasticsearch:elasticsearch", "elasticsearch_project:elasticsearch"),
    "haproxy": ("haproxy:haproxy",),
    "httpd": ("apache:http_server",),
    "kafka": ("apache:kafka",),
    "kingbase": ("kingbase:kingbasees", "kingbase:kingbase", "renmin_jincang:kingbasees"),
    "mariadb": ("mariadb:mariadb",),
    "memcached": ("memcached:memcached", "memcachedb:memcached"),
    "mongodb": ("mongodb:mongodb",),
    "mysql": ("oracle:mysql",),
    "nacos": ("alibaba:nacos",),
    "nginx": ("f5:nginx",),
    "opengauss": ("opengauss:opengauss", "huawei:opengauss"),
    "openresty": ("openresty:openresty",),
    "openssh": ("openbsd:openssh",),
    "openssl": ("openssl:openssl",),
    "oracle": ("oracle:database_server", "oracle:database"),
    "php": ("php:php",),
    "postgresql": ("postgresql:postgresql",),
    "rabbitmq": ("vmware:rabbitmq", "pivotal_software:rabbitmq", "broadcom:rabbitmq_server"),
    "redis": ("redis:redis",),
    "tengine": ("alibaba:tengine",),
    "tomcat": ("apache:tomcat",),
    "tongweb": ("tongtech:tongweb",),
    "valkey": ("valkey-io:valkey", "lfprojects:valkey"),
    "weblogic": ("oracle:weblogic_server",),
    "zookeeper": ("apache:zookeeper",),
}
"""Servers and libraries by kind."""

_MAVEN = {"tomcat": ("org.apache.tomcat:tomcat", "org.apache.tomcat:tomcat-catalina")}

JARS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "commons-collections": (("commons-collections:commons-collections",), ("apache:commons_collections",)),
    "commons-collections4": (("org.apache.commons:commons-collections4",), ("apache:commons_collections",)),
    "commons-fileupload": (("commons-fileupload:commons-fileupload",), ("apache:commons_fileupload",)),
    "commons-text": (("org.apache.commons:commons-text",), ("apache:commons_text",)),
    "druid": (("com.alibaba:druid",), ("alibaba:druid",)),
    "dubbo": (("org.apache.dubbo:dubbo", "com.alibaba:dubbo"), ("apache:dubbo",)),
    "fastjson": (("com.alibaba:fastjson",), ("alibaba:fastjson",)),
    "fastjson2": (("com.alibaba.fastjson2:fastjson2",), ("alibaba:fastjson2",)),
    "hutool-all": (("cn.hutool:hutool-all",), ("hutool:hutool",)),
    "jackson-databind": (("com.fasterxml.jackson.core:jackson-databind",), ("fasterxml:jackson-databind",)),
    "log4j": (("log4j:log4j",), ("apache:log4j",)),
    "log4j-core": (("org.apache.logging.log4j:log4j-core",), ("apache:log4j",)),
    "logback-core": (("ch.qos.logback:logback-core",), ("qos:logback",)),
    "mysql-connector-j": (("com.mysql:mysql-connector-j",), ("oracle:mysql_connector/j", "oracle:mysql_connectors")),
    "mysql-connector-java": (("mysql:mysql-connector-java",), ("oracle:mysql_connector/j", "oracle:mysql_connectors")),
    "nacos-client": (("com.alibaba.nacos:nacos-client",), ()),
    "netty-all": (("io.netty:netty-all",), ("netty:netty",)),
    "shiro-core": (("org.apache.shiro:shiro-core",), ("apache:shiro",)),
    "shiro-web": (("org.apache.shiro:shiro-web",), ()),
    "snakeyaml": (("org.yaml:snakeyaml",), ("snakeyaml_project:snakeyaml",)),
    "spring-beans": (("org.springframework:spring-beans",), ()),
    "spring-boot": (("org.springframework.boot:spring-boot",), ("vmware:spring_boot",)),
    "spring-core": (("org.springframework:spring-core",), ("vmware:spring_framework",)),
    "spring-web": (("org.springframework:spring-web",), ()),
    "spring-webmvc": (("org.springframework:spring-webmvc",), ()),
    "struts2-core": (("org.apache.struts:struts2-core",), ("apache:struts",)),
    "tomcat-embed-core": (("org.apache.tomcat.embed:tomcat-embed-core",), ("apache:tomcat",)),
    "xstream": (("com.thoughtworks.xstream:xstream",), ("xstream:xstream", "xstream_project:xstream")),
}
"""Jar files of known names by artifact: their Maven names (older groups last) and CPE names."""


def names(kind: str) -> tuple[tuple[str, str], ...]:
    """(stream, package) of a kind, as the store is asked; empty for a kind that no feed names."""
    maven, cpes = JARS.get(kind, (_MAVEN.get(kind, ()), _CPE.get(kind, ())))
    return (*(("cpe", one) for one in cpes), *(("maven", one) for one in maven))
