# Cleans up once a test process is gone, however it ended.
#
# The arguments are the folders that hold temporary folders. The first line of input is the name of the
# run. The input ends when the test process ends, because only that process holds the other end.

# Ctrl-C at the terminal ends the tests, not the cleaning.
trap '' HUP INT QUIT TERM
read -r run || exit 0
cat >/dev/null

# Lists the processes that carry the name of the run in their environment, their arguments or their
# working folder, and all descendants of those.
members() {
    {
        printf '%s' "$run" | grep -lasFf - /proc/[0-9]*/environ /proc/[0-9]*/cmdline | cut -d / -f 3
        find /proc/[0-9]*/cwd -maxdepth 0 -lname "*/$run-*" 2>/dev/null | cut -d / -f 3
        cat /proc/[0-9]*/stat 2>/dev/null
    } | awk '
        NF == 1 { ours[$1]; next }
        # The name in brackets may hold spaces. The state and the parent follow it.
        { pid = $1; sub(/^.*\) /, ""); state[pid] = $1; parent[pid] = $2 }
        END {
            do {
                grown = 0
                for (pid in parent) if (!(pid in ours) && parent[pid] in ours) { ours[pid]; grown = 1 }
            } while (grown)
            for (pid in ours) if (pid in state && state[pid] != "Z") print pid
        }'
}

# A process that was just forked may appear late, so the list has to be empty twice.
segments=
empty=0
tries=0
while [ "$empty" -lt 2 ] && [ "$tries" -lt 600 ]; do
    pids=$(members)
    if [ -n "$pids" ]; then
        empty=0
        for pid in $pids; do
            segments="$segments $(grep -hoasE '/dev/shm/(PostgreSQL\.|faketime_shm_|sem\.faketime_sem_)[0-9]+' "/proc/$pid/maps")"
        done
        # shellcheck disable=SC2086 # one argument each
        kill -KILL $pids 2>/dev/null
    else
        empty=$((empty + 1))
    fi
    tries=$((tries + 1))
    sleep 0.1
done

# PostgreSQL and a process under libfaketime that were killed leave their shared memory behind. Line 7 names the System V segment.
# shellcheck disable=SC2086 # one argument each
rm -f $segments
for place in "$@"; do
    for file in "$place/$run"-*/data/postmaster.pid; do
        segment=$(awk 'NR == 7 { print $2 }' "$file" 2>/dev/null)
        [ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null
    done
done
grep -F "/$run-" /proc/mounts | cut -d ' ' -f 2 | while read -r mount; do
    umount -l "$mount"
done
for place in "$@"; do
    rm -rf "$place/$run"-*
done
