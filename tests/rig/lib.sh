# What the scripts of the rig share. Sourced.
# shellcheck shell=bash disable=SC2154

# The newest PostgreSQL's own programs, which Debian keeps out of PATH.
postgresql_bin() {
    find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1
}

# When a process was started, in ticks since boot: with its id it names one process for good.
started_at() {
    [ -r "/proc/$1/stat" ] && sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# The process id that a server writes to a file, as soon as it is there.
pid_from() { # FILE
    local pid
    for _ in $(seq 100); do
        pid=$(head -n 1 "$1" 2>/dev/null | tr -d ' ') || true
        [ -z "$pid" ] || { echo "$pid"; return; }
        sleep 0.05
    done
    return 1
}

# Writes down a server's process, for `down`.
remember_pid() { # NAME PID
    echo "$2 $(started_at "$2")" >"$rig/pids/$1"
}

# Is the process that was written down still the one that runs?
alive() { # FILE
    local pid start
    read -r pid start <"$1" && [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]
}
