# Tomcat, right; app-01 is the twin
rm -f /etc/tomcat10/Catalina/localhost/*.xml
apt-get -qq -y remove tomcat10-examples tomcat10-admin > /dev/null
printf '<?xml version="1.0" encoding="UTF-8"?>\n<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0"/>\n' \
    > /etc/tomcat10/tomcat-users.xml
sed -i 's/-Djava.awt.headless=true/& -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1/' /usr/lib/systemd/system/tomcat10.service
# no tag libraries are used: without the search for them a start takes 3 s in place of 16
sed -i 's/^tomcat.util.scan.StandardJarScanFilter.jarsToSkip=.*/tomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar,\\/' \
    /etc/tomcat10/catalina.properties
# the same jar files in versions that are mended; no Tomcat besides the package's
make_jar /opt/app/lib/log4j-core-2.25.3.jar org.apache.logging.log4j log4j-core 2.25.3
make_jar /opt/app/lib/fastjson.jar com.alibaba fastjson 1.2.83
