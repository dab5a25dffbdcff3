# identity and access, right; node-01 is the twin
groupadd -r wheel
useradd -m -s /bin/bash operator1 && chage -m 1 -M 30 -W 7 operator1 # its password is made at `up`
cat > /etc/security/pwquality.conf <<'CONF'
minlen = 18
minclass = 4
dcredit = -1
ucredit = -1
lcredit = -1
ocredit = -1
dictcheck = 1
usercheck = 1
gecoscheck = 1
maxrepeat = 3
maxsequence = 4
enforce_for_root
CONF
cat > /etc/pam.d/common-password <<'CONF'
password requisite pam_pwquality.so retry=3
password required pam_pwhistory.so remember=12 enforce_for_root use_authtok
password [success=1 default=ignore] pam_unix.so use_authtok try_first_pass yescrypt
password requisite pam_deny.so
password required pam_permit.so
CONF
cat > /etc/pam.d/common-auth <<'CONF'
auth required pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
CONF
sed -i '0,/^account/s//account required pam_faillock.so\naccount/' /etc/pam.d/common-account
printf 'deny = 5\nunlock_time = 900\nfail_interval = 900\neven_deny_root\nroot_unlock_time = 60\n' > /etc/security/faillock.conf
sed -i '0,/^auth/s//auth required pam_wheel.so use_uid\nauth/' /etc/pam.d/su
set_word ENCRYPT_METHOD YESCRYPT /etc/login.defs
set_word PASS_MAX_DAYS 30 /etc/login.defs
set_word PASS_MIN_DAYS 1 /etc/login.defs
set_word UMASK 027 /etc/login.defs
echo 'umask 027' >> /etc/profile
echo 'TMOUT=600; readonly TMOUT; export TMOUT' > /etc/profile.d/90-tmout.sh
