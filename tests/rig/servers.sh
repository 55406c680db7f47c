# The servers of the rig as private instances: their configuration, and how each is started. Sourced by `up`, which sets
# rig (the directory), here (this directory) and the variables P_* (ports). All of them run as their own Debian users.
# shellcheck shell=bash disable=SC2154

# A private CA, and three server certificates: a good one, one that has expired, one for another name.
make_certificates() {
    local tls=$rig/tls
    mkdir -m 700 "$tls"
    (
        cd "$tls"
        : >index.txt
        cat >ca.cnf <<EOF
[req]
distinguished_name = name
prompt = no
[name]
CN = Mailgrant test rig CA $(basename "$rig")
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca]
default_ca = rig
[rig]
dir = .
new_certs_dir = .
database = index.txt
rand_serial = yes
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
policy = any
copy_extensions = copy
unique_subject = no
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EOF
        local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc)
        openssl req -x509 "${key[@]}" -config ca.cnf -extensions root -days 30 -keyout ca.key -out ca.pem
        issue() { # NAME COMMON_NAME SUBJECT_ALT_NAMES [MORE OPTIONS OF openssl ca]
            local name=$1 cn=$2 san=$3
            shift 3
            openssl req -new "${key[@]}" -config ca.cnf -subj "/CN=$cn" -addext "subjectAltName=$san" -keyout "$name.key" -out "$name.csr"
            openssl ca -batch -notext -config ca.cnf -in "$name.csr" -out "$name.pem" "$@"
        }
        issue server localhost "DNS:localhost,DNS:mail.rig.test,IP:127.0.0.1,IP:127.0.0.3,IP:::1"
        issue expired localhost "DNS:localhost,IP:127.0.0.2" -startdate 20200101000000Z -enddate 20210101000000Z
        issue wrong mail.elsewhere.test "DNS:mail.elsewhere.test"
    ) >"$rig/log/openssl.log" 2>&1
    cp "$tls/ca.pem" "$rig/ca.pem"
}

start_provider() {
    RIG_INTROSPECTION_SECRET=$introspection_secret \
        setsid node "$here/provider.mjs" "$rig" "$P_PROVIDER" "$P_CONTROL" >"$rig/log/provider.log" 2>&1 </dev/null &
    remember_pid provider $!
}

# One oauth2 passdb: $1 names the attribute of the introspection answer that says which mailbox the token opens. (Dovecot's
# own `scope` takes one scope only and asks no further passdb, so the provider looks at the scopes: see mailClaims there.)
oauth2_passdb() {
    cat >"$dir/oauth2-$1.conf" <<EOF
introspection_mode = post
introspection_url = https://rig-introspection:$introspection_secret@localhost:$P_PROVIDER/token/introspection
tls_ca_cert_file = $rig/ca.pem
active_attribute = active
active_value = true
username_attribute = $1
openid_configuration_url = https://localhost:$P_PROVIDER/.well-known/openid-configuration
max_parallel_connections = 20
EOF
    cat <<EOF
  passdb {
    driver = oauth2
    mechanisms = xoauth2 oauthbearer
    args = $dir/oauth2-$1.conf
  }
EOF
}

# The passdbs of one protocol: a token opens the mailbox of its account, or the shared one of that account.
protocol_passdbs() { # imap | pop3 | smtp
    echo "protocol $1 {"
    oauth2_passdb "$1_mailbox"
    oauth2_passdb "$1_shared"
    echo "}"
}

# A Dovecot: $1 name of the instance, $2 protocols, $3 SASL mechanisms, then "listener port" settings on standard input.
start_dovecot() {
    local dir=$rig/$1
    mkdir -p "$dir/state"
    chmod 755 "$dir"
    printf 'gone@rig.test:::::::\n' >"$dir/gone"
    printf 'plain@rig.test:{PLAIN}rig-password-plain\n' >"$dir/passwords"
    {
        cat <<EOF
base_dir = $dir/run
state_dir = $dir/state
log_path = $rig/log/$1.log
auth_verbose = yes
protocols = $2
listen = 127.0.0.1, 127.0.0.2, 127.0.0.3, 127.0.0.4
login_greeting = Rig $(basename "$rig") ready.
auth_mechanisms = $3
auth_failure_delay = 0
disable_plaintext_auth = yes
ssl = yes
ssl_min_protocol = TLSv1.2
ssl_cert = <$rig/tls/server.pem
ssl_key = <$rig/tls/server.key
local 127.0.0.2 {
  ssl_cert = <$rig/tls/expired.pem
  ssl_key = <$rig/tls/expired.key
}
local 127.0.0.4 {
  ssl_cert = <$rig/tls/wrong.pem
  ssl_key = <$rig/tls/wrong.key
}
mail_location = maildir:~/Maildir
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_max_userip_connections = 500
mail_fsync = never
namespace inbox {
  inbox = yes
  mailbox Junk {
    special_use = \\Junk
  }
}
passdb {
  driver = passwd-file
  mechanisms = plain login
  args = $dir/passwords
}
# gone@rig.test signs in and then has no mailbox; everybody else has one as soon as it is asked for.
userdb {
  driver = passwd-file
  args = $dir/gone
  result_success = return-fail
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$rig/mail/%Lu allow_all_users=yes
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener $rig/$1.auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
EOF
        protocol_passdbs imap
        protocol_passdbs pop3
        protocol_passdbs smtp
        cat
    } >"$dir/dovecot.conf"
    chmod 600 "$dir"/*.conf "$dir/passwords"
    # Not root but the auth process reads this one, with every sign-in.
    chown dovecot "$dir/passwords"
    dovecot -c "$dir/dovecot.conf" >"$rig/log/$1.start.log" 2>&1
    remember_pid "$1" "$(pid_from "$dir/run/master.pid")"
}

start_dovecots() {
    start_dovecot dovecot "imap pop3 lmtp" "plain xoauth2 oauthbearer" <<EOF
service imap-login {
  inet_listener imap {
    port = $P_IMAP
  }
  inet_listener imaps {
    port = $P_IMAPS
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $P_POP3
  }
  inet_listener pop3s {
    port = $P_POP3S
  }
}
service lmtp {
  unix_listener $rig/lmtp {
    mode = 0660
    user = postfix
    group = postfix
  }
}
EOF
    start_dovecot dovecot2 "imap" "xoauth2" <<EOF
service imap-login {
  inet_listener imap {
    port = $P_IMAP_XOAUTH2
  }
  inet_listener imaps {
    port = $P_IMAPS_XOAUTH2
  }
}
EOF
}

start_postfix() {
    local dir=$rig/postfix
    mkdir -p "$dir/conf" "$dir/queue" "$dir/data"
    chown postfix "$dir/data"
    chmod 755 "$dir" "$dir/conf" "$dir/queue"
    # Every mailbox of rig.test exists, but for nobody's; each login may send as itself, and maija for the shared mailbox.
    printf '!/^nobody@/ OK\n' >"$dir/conf/mailboxes"
    printf '%s\n' '/^shared@rig\.test$/ shared@rig.test maija.korhonen@rig.test' "/^([a-z0-9._%+'-]+@rig\\.test)\$/ \$1" >"$dir/conf/senders"
    cat >"$dir/conf/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $rig/log/postfix.log
maillog_file_prefixes = $rig/log
myhostname = mail.rig.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_banner = \$myhostname ESMTP Rig $(basename "$rig")
smtpd_sasl_type = dovecot
smtpd_sasl_path = $rig/dovecot.auth
smtpd_sasl_security_options = noanonymous
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = $rig/tls/server.key, $rig/tls/server.pem
smtpd_tls_security_level = encrypt
smtpd_sender_login_maps = regexp:$dir/conf/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
virtual_mailbox_domains = rig.test
virtual_mailbox_maps = regexp:$dir/conf/mailboxes
virtual_transport = lmtp:unix:$rig/lmtp
default_transport = error:5.7.1 no mail leaves this machine
relay_transport = error:5.7.1 no mail leaves this machine
alias_maps =
alias_database =
message_size_limit = 10240000
mailbox_size_limit = 0
in_flow_delay = 0
bounce_queue_lifetime = 0
EOF
    cat >"$dir/conf/master.cf" <<EOF
127.0.0.1:$P_SUBMISSION inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
127.0.0.1:$P_SUBMISSIONS inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_wrappermode=yes
127.0.0.1:$P_SUBMISSION_XOAUTH2 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_path=$rig/dovecot2.auth
127.0.0.1:$P_SUBMISSIONS_XOAUTH2 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_path=$rig/dovecot2.auth -o smtpd_tls_wrappermode=yes
127.0.0.1:$P_SMTP_OPEN inet n - n - - smtpd -o smtpd_tls_security_level=may -o smtpd_sender_restrictions= -o smtpd_relay_restrictions=permit_mynetworks,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
EOF
    setsid postfix -c "$dir/conf" start >"$rig/log/postfix.start.log" 2>&1 </dev/null
    remember_pid postfix "$(pid_from "$dir/queue/pid/master.pid")"
}

start_postgresql() {
    local dir=$rig/postgres bin
    bin=$(postgresql_bin)
    mkdir "$dir"
    chown postgres: "$dir"
    runuser -u postgres -- "$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync \
        >"$rig/log/postgresql.init.log" 2>&1 </dev/null
    cat >>"$dir/data/postgresql.conf" <<EOF
listen_addresses = '127.0.0.1'
port = $P_POSTGRES
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum_naptime = 10min
EOF
    setsid runuser -u postgres -- "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 20 start >"$rig/log/postgresql.start.log" 2>&1 </dev/null
    remember_pid postgresql "$(pid_from "$dir/data/postmaster.pid")"
}
