# identity and access, weak; node-02 is the twin
# accounts: empty password, shared UID, second UID 0, MD5 and DES hashes, a system account with a shell
hash() { perl -e 'print crypt(join("", map { chr(97 + rand 26) } 1..12), $ARGV[0])' "$1"; }
useradd -m -s /bin/bash guest9 && usermod -p '' guest9
useradd -m -s /bin/bash -u 1500 shift-a && useradd -M -d /home/shift-a -s /bin/bash -o -u 1500 shift-b
useradd -M -d /root -s /bin/bash -o -u 0 -g 0 toor && usermod -p '*' toor
useradd -m -s /bin/bash oldmd5 && usermod -p "$(hash '$1$lab$')" oldmd5
useradd -m -s /bin/bash olddes && usermod -p "$(hash la)" olddes
# a hash in passwd itself, which everybody reads
useradd -m -s /bin/bash unshadowed
sed -i "s|^unshadowed:x:|unshadowed:$(hash ba):|" /etc/passwd
useradd -m -s /bin/bash operator1 # its password is made at `up`; it never expires
usermod -s /bin/bash games
usermod -aG sudo ops # who may use su, once it is not open to everyone
# policy
cat > /etc/security/pwquality.conf <<'CONF'
minlen = 8
minclass = 0
dcredit = 0
ucredit = 0
lcredit = 0
ocredit = 0
dictcheck = 0
usercheck = 0
maxrepeat = 0
maxsequence = 0
CONF
set_word ENCRYPT_METHOD MD5 /etc/login.defs
set_word PASS_MAX_DAYS 99999 /etc/login.defs
set_word UMASK 022 /etc/login.defs
chage -M 99999 operator1
# files
chmod 644 /etc/shadow
echo 'echo maintenance' > /usr/local/bin/nightly.sh && chmod 777 /usr/local/bin/nightly.sh
mkdir /usr/local/share/drop && chmod 777 /usr/local/share/drop
printf 'mysqldump -u root --password=Fictional-2026 warnings\n' > /home/operator1/.bash_history
chown operator1:operator1 /home/operator1/.bash_history && chmod 600 /home/operator1/.bash_history
