#!/bin/sh
# A supervisor for tests of the server's half: keeps to the attempt folder's rules and does what the task's first
# argument says, without any container. Its second argument is a file that gets a line for every run.
exec 9<&0 0</dev/null
cd "$1" || exit 1
words=$(sed -n 's/^arg //p' task)
what=$(echo "$words" | sed -n 1p)
runs=$(echo "$words" | sed -n 2p)
echo "$1" >>"$runs"
[ "$what" = nothing ] && { echo "no way to go on" >&2; exit 1; }
: >exit.tmp
ends() {
    printf 'batchyard-exit 1\nwhy %s\nstarted_ms 5\nstopped_ms 7\ncontainer default\ncode %s\noom 0\ndropped_lines 0\nend\n' "$1" "$2" >exit.tmp
}
case $what in
exit) ends exit 3 && mv exit.tmp exit ;;
unrenamed) ends timeout 137 ;;
die) exit 1 ;;
wait)
    # Both ways, as the real one does: nothing that is written from now on is missed.
    exec 8<>control
    printf 'batchyard-started 1\nat_ms 5\npid 1\nend\n' >started.tmp && mv started.tmp started
    head -c 1 <&8 >/dev/null
    ends stopped 143 && mv exit.tmp exit
    ;;
esac
