# Tomcat, weak; app-02 is the twin
B=/var/lib/tomcat10
mkdir -p /etc/systemd/system/tomcat10.service.d
printf '[Service]\nUser=root\nGroup=root\n' > /etc/systemd/system/tomcat10.service.d/root.conf
# deployed as a download from the project would have them, not only through the package's context files
for app in examples:/usr/share/tomcat10-examples/examples manager:/usr/share/tomcat10-admin/manager; do
    cp -aL "${app#*:}" "$B/webapps/${app%%:*}"
done
rm -f /etc/tomcat10/Catalina/localhost/*.xml
cat > /etc/tomcat10/tomcat-users.xml <<'CONF'
<?xml version="1.0" encoding="UTF-8"?>
<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0">
  <role rolename="manager-gui"/>
  <user username="tomcat" password="tomcat" roles="manager-gui"/>
</tomcat-users>
CONF
sed -i 's/<Server port="-1"/<Server port="8005"/' /etc/tomcat10/server.xml
perl -0pi -e 's|<Valve className="org.apache.catalina.valves.AccessLogValve".*?/>||s;
    s|(<Service name="Catalina">)|$1\n    <Connector protocol="AJP/1.3" address="0.0.0.0" port="8009" secretRequired="false"/>|' \
    /etc/tomcat10/server.xml
sed -i 's/-Djava.awt.headless=true/& -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1/' /usr/lib/systemd/system/tomcat10.service
# no tag libraries are used: without the search for them a start takes 3 s in place of 16
sed -i 's/^tomcat.util.scan.StandardJarScanFilter.jarsToSkip=.*/tomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar,\\/' \
    /etc/tomcat10/catalina.properties
# what no package manager knows; app-02 is the twin. A Tomcat laid out as its project's tarball is, which does not run
# (Debian's own files, copied past dpkg), and jar files of known names: made here, they hold names and a manifest, no code
T=/opt/apache-tomcat-$(dpkg-query -W -f='${source:Upstream-Version}' tomcat10-common)
mkdir -p "$T/webapps/shop/WEB-INF/lib"
cp -aL /usr/share/tomcat10/bin /usr/share/tomcat10/lib "$T/"
cp -aL /etc/tomcat10 "$T/conf" && rm -rf "$T/conf/Catalina"
make_jar "$T/webapps/shop/WEB-INF/lib/log4j-core-2.14.1.jar" org.apache.logging.log4j log4j-core 2.14.1
make_jar /opt/app/lib/fastjson.jar com.alibaba fastjson 1.2.24
make_jar /opt/app/shop.jar - BOOT-INF/lib/shiro-core-1.2.4.jar BOOT-INF/lib/spring-core-5.3.17.jar
