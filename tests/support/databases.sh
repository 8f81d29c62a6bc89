#!/usr/bin/env bash
# PostgreSQL and MariaDB of the tests' own: ordinary users, loopback on free ports, data in a folder that goes away.
#   databases.sh start DIR   makes DIR (which must not exist) and prints the two URLs as POSTGRES_URL=... and MARIADB_URL=...
#   databases.sh stop DIR    stops what was started there and removes DIR
# The system's servers are never touched: neither their ports, nor their sockets, configuration, data or processes.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
die() { say "databases.sh: $*"; exit 1; }

MARK=keyward-test-databases

# These servers refuse to run as root. Their packages made a user for each; without root it is whoever runs the tests.
run_as() {
    local user=$1; shift
    if [ "$(id -u)" = 0 ]; then runuser -u "$user" -- "$@"; else "$@"; fi
}

folder() {
    mkdir -p "$2"
    if [ "$(id -u)" = 0 ]; then chown "$1" "$2"; fi
    chmod 700 "$2"
}

free_port() {
    local port
    for _ in $(seq 100); do
        # Below the range from which the kernel gives ports to outgoing connections.
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        case $port in 5432 | 3306) continue ;; esac
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    die "no free port"
}

# Only a process of our own folder is ever signalled: a number in a stale file may belong to somebody else by now.
ours() { [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$2"; }

postgres_start() {
    local dir=$1 password=$2 bin port
    bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] || die "PostgreSQL is not installed"
    folder postgres "$dir/pg"
    printf '%s' "$password" >"$dir/pg/password"
    if [ "$(id -u)" = 0 ]; then chown postgres "$dir/pg/password"; fi
    # Names sort in the order of their bytes, as keys and indexes of the tests expect from no locale at all.
    run_as postgres "$bin/initdb" -D "$dir/pg/data" -U keyward --pwfile="$dir/pg/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/pg.log" 2>&1 || { cat "$dir/pg.log" >&2; die "initdb failed"; }
    port=$(free_port)
    # No fsync: nobody cuts the power here, and a killed Keyward loses nothing that PostgreSQL was told.
    run_as postgres "$bin/pg_ctl" -D "$dir/pg/data" -w -t 60 -l "$dir/pg/server.log" -o "-c listen_addresses=127.0.0.1 -c port=$port \
        -c unix_socket_directories=$dir/pg -c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=128MB \
        -c log_min_messages=warning" start >>"$dir/pg.log" 2>&1 ||
        { cat "$dir/pg.log" "$dir/pg/server.log" >&2; die "PostgreSQL did not start"; }
    PGPASSWORD=$password "$bin/createdb" -h 127.0.0.1 -p "$port" -U keyward keyward || die "no database could be made in PostgreSQL"
    echo "POSTGRES_URL=postgres://keyward:$password@127.0.0.1:$port/keyward"
}

mariadb_start() {
    local dir=$1 password=$2 port socket="$1/my/s" server
    server=$(command -v mariadbd || echo /usr/sbin/mariadbd)
    [ -x "$server" ] || die "MariaDB is not installed"
    folder mysql "$dir/my"
    # --no-defaults: nothing of /etc/mysql. The character set is then set to what Debian's own configuration has, because
    # Keyward must ask for the collation that it needs by itself.
    run_as mysql mariadb-install-db --no-defaults --datadir="$dir/my/data" --auth-root-authentication-method=socket \
        --skip-test-db --innodb-flush-log-at-trx-commit=0 >"$dir/my.log" 2>&1 ||
        { cat "$dir/my.log" >&2; die "mariadb-install-db failed"; }
    cat >"$dir/my/init.sql" <<SQL
CREATE DATABASE keyward;
CREATE USER 'keyward'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'keyward'@'127.0.0.1' WITH GRANT OPTION;
SQL
    if [ "$(id -u)" = 0 ]; then chown mysql "$dir/my/init.sql"; fi
    port=$(free_port)
    # setsid: an interrupt at the keyboard goes to whoever stops us in order, not to the server.
    run_as mysql setsid --fork "$server" --no-defaults --datadir="$dir/my/data" --socket="$socket" --pid-file="$dir/my/pid" \
        --bind-address=127.0.0.1 --port="$port" --init-file="$dir/my/init.sql" --log-error="$dir/my/server.log" \
        --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci --skip-name-resolve --skip-log-bin \
        --innodb-flush-log-at-trx-commit=2 --skip-innodb-doublewrite --max-connections=600 --innodb-buffer-pool-size=256M \
        >>"$dir/my.log" 2>&1 </dev/null
    local try
    for try in $(seq 300); do
        if MYSQL_PWD=$password mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$port" -u keyward -e 'SELECT 1' >/dev/null 2>&1; then
            echo "MARIADB_URL=mysql://keyward:$password@127.0.0.1:$port/keyward"
            return
        fi
        sleep 0.2
    done
    cat "$dir/my/server.log" >&2
    die "MariaDB did not start"
}

# Whatever runs on our data, a half-done installation included: a pid file may not be there yet.
each_of_ours() {
    local pid
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        if ours "$pid" "$1/pg/data" || ours "$pid" "datadir=$1/my/data"; then echo "$pid"; fi
    done
}

stop() {
    local dir=$1 pid
    [ -e "$dir" ] || return 0
    [ -f "$dir/$MARK" ] || die "$dir was not made by this script"
    # INT: PostgreSQL's fast shutdown; TERM would wait for every client to leave.
    pid=$(head -n 1 "$dir/pg/data/postmaster.pid" 2>/dev/null || true)
    if [ -n "$pid" ] && ours "$pid" "$dir/pg/data"; then kill -INT "$pid" 2>/dev/null || true; fi
    for pid in $(each_of_ours "$dir"); do
        if ours "$pid" "datadir=$dir/my/data"; then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    local try
    for try in $(seq 100); do
        [ -n "$(each_of_ours "$dir")" ] || break
        sleep 0.1
    done
    for pid in $(each_of_ours "$dir"); do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$dir" 2>/dev/null || { sleep 1; rm -rf "$dir"; }
}

start() {
    local dir=$1 password=$2 bin port
    bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] || die "PostgreSQL is not installed"
    folder postgres "$dir/pg"
    printf '%s' "$password" >"$dir/pg/password"
    if [ "$(id -u)" = 0 ]; then chown postgres "$dir/pg/password"; fi
    # Names sort in the order of their bytes, as keys and indexes of the tests expect from no locale at all.
    run_as postgres "$bin/initdb" -D "$dir/pg/data" -U keyward --pwfile="$dir/pg/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/pg.log" 2>&1 || { cat "$dir/pg.log" >&2; die "initdb failed"; }
    port=$(free_port)
    # No fsync: nobody cuts the power here, and a killed Keyward loses nothing that PostgreSQL was told.
    run_as postgres "$bin/pg_ctl" -D "$dir/pg/data" -w -t 60 -l "$dir/pg/server.log" -o "-c listen_addresses=127.0.0.1 -c port=$port \
        -c unix_socket_directories=$dir/pg -c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=128MB \
        -c log_min_messages=warning" start >>"$dir/pg.log" 2>&1 ||
        { cat "$dir/pg.log" "$dir/pg/server.log" >&2; die "PostgreSQL did not start"; }
    PGPASSWORD=$password "$bin/createdb" -h 127.0.0.1 -p "$port" -U keyward keyward || die "no database could be made in PostgreSQL"
    echo "POSTGRES_URL=postgres://keyward:$password@127.0.0.1:$port/keyward"
}

mariadb_start() {
    local dir=$1 password=$2 port socket="$1/my/s" server
    server=$(command -v mariadbd || echo /usr/sbin/mariadbd)
    [ -x "$server" ] || die "MariaDB is not installed"
    folder mysql "$dir/my"
    # --no-defaults: nothing of /etc/mysql. The character set is then set to what Debian's own configuration has, because
    # Keyward must ask for the collation that it needs by itself.
    run_as mysql mariadb-install-db --no-defaults --datadir="$dir/my/data" --auth-root-authentication-method=socket \
        --skip-test-db --innodb-flush-log-at-trx-commit=0 >"$dir/my.log" 2>&1 ||
        { cat "$dir/my.log" >&2; die "mariadb-install-db failed"; }
    cat >"$dir/my/init.sql" <<SQL
CREATE DATABASE keyward;
CREATE USER 'keyward'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO 'keyward'@'127.0.0.1' WITH GRANT OPTION;
SQL
    if [ "$(id -u)" = 0 ]; then chown mysql "$dir/my/init.sql"; fi
    port=$(free_port)
    # setsid: an interrupt at the keyboard goes to whoever stops us in order, not to the server.
    run_as mysql setsid --fork "$server" --no-defaults --datadir="$dir/my/data" --socket="$socket" --pid-file="$dir/my/pid" \
        --bind-address=127.0.0.1 --port="$port" --init-file="$dir/my/init.sql" --log-error="$dir/my/server.log" \
        --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci --skip-name-resolve --skip-log-bin \
        --innodb-flush-log-at-trx-commit=2 --skip-innodb-doublewrite --max-connections=600 --innodb-buffer-pool-size=256M \
        >>"$dir/my.log" 2>&1 </dev/null
    local try
    for try in $(seq 300); do
        if MYSQL_PWD=$password mariadb --no-defaults --protocol=tcp -h 127.0.0.1 -P "$port" -u keyward -e 'SELECT 1' >/dev/null 2>&1; then
            echo "MARIADB_URL=mysql://keyward:$password@127.0.0.1:$port/keyward"
            return
        fi
        sleep 0.2
    done
    cat "$dir/my/server.log" >&2
    die "MariaDB did not start"
}

stop_pid() {
    local pid=$1 dir=$2 signal=$3
    [ -n "$pid" ] && ours "$pid" "$dir" || return 0
    kill "-$signal" "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do ours "$pid" "$dir" || return 0; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
}

stop() {
    local dir=$1
    [ -e "$dir" ] || return 0
    [ -f "$dir/$MARK" ] || die "$dir was not made by this script"
    # INT: PostgreSQL's fast shutdown.
    stop_pid "$(head -n 1 "$dir/pg/data/postmaster.pid" 2>/dev/null)" "$dir" INT
    stop_pid "$(cat "$dir/my/pid" 2>/dev/null)" "$dir" TERM
    rm -rf "$dir"
}

start() {
    # Not local: the traps below need it when the function is gone.
    dir=$1
    local password
    [ ! -e "$dir" ] || die "$dir exists already"
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    # A socket's path has 107 bytes at most.
    [ ${#dir} -le 70 ] || die "the path of $dir is too long"
    : >"$dir/$MARK"
    chmod 755 "$dir"
    trap 'trap "" INT TERM; exit 1' INT TERM
    # A second signal (timeout sends two) must not cut the cleaning short.
    trap '[ $? = 0 ] || { trap "" INT TERM; stop "$dir"; }' EXIT
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    # Files of the servers' folders are named by them, but the folder above must let them through.
    [ "$(id -u)" != 0 ] || runuser -u postgres -- test -x "$dir" || die "the user postgres cannot reach $dir"
    postgres_start "$dir" "$password"
    mariadb_start "$dir" "$password"
}

[ $# = 2 ] || { say "usage: $0 start|stop DIR"; exit 2; }
case "$1" in
    start) start "$2" ;;
    stop) [ ! -d "$2" ] || stop "$(cd "$2" && pwd)" ;;
    *) say "usage: $0 start|stop DIR"; exit 2 ;;
esac
