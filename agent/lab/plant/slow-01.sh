# A login shell that takes two seconds before it does anything.
printf '#!/bin/sh\nsleep 2\nexec /bin/bash "$@"\n' > /usr/local/bin/slow-shell
chmod 755 /usr/local/bin/slow-shell
echo /usr/local/bin/slow-shell >> /etc/shells
usermod -s /usr/local/bin/slow-shell ops
