#!/usr/bin/env bash
# One real job, twice: with batchyard's own command line, then with the AWS command line, on a server of its own in a
# folder of its own. Ends by proving that nothing is left: no process, mount, cgroup or folder.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" != --built ]; then
    scripts/setup.sh demo
    scripts/build.sh
    as_root "$0" --built
    exit
fi

batchyard=$BATCHYARD_BIN
aws=$VENV/bin/aws
work=$(mktemp -d "${TMPDIR:-/tmp}/batchyard-demo.XXXXXX")
export BATCHYARD_DATA_DIR=$work/data
export AWS_PAGER='' AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
server=

# Shows a command as one would type it, then runs it.
run() {
    local word shown=${1##*/}
    for word in "${@:2}"; do
        case $word in *[!A-Za-z0-9_/.,:=@-]* | '') word="'$word'" ;; esac
        shown="$shown $word"
    done
    printf '\033[2m$ %s\033[0m\n' "$shown" >&2
    "$@"
}

stop_server() {
    [ -n "$server" ] || return 0
    "$batchyard" stop --terminate-jobs || kill "$server" || true
    wait "$server" || { warn "the server ended with $?"; tail -20 "$work/server.log"; }
    server=
}
clean_up() { stop_server; rm -rf "$work"; }
trap clean_up EXIT

left_behind() {
    local found=0
    # The pattern comes from a file, or grep would find itself.
    if grep -lsF -f <(echo "$work") /proc/[0-9]*/cmdline; then warn "a process is left"; found=1; fi
    if grep -lsF "$work" /proc/[0-9]*/mountinfo; then warn "a mount is left"; found=1; fi
    if [ -n "$(cgroups)" ]; then warn "a cgroup is left:"; cgroups; found=1; fi
    if [ -e "$work" ]; then warn "a folder is left: $work"; found=1; fi
    return $found
}
# A server's cgroup is named after its data folder, so that others may run meanwhile.
cgroups() { find /sys/fs/cgroup -type d -name "batchyard-$(printf %s "$BATCHYARD_DATA_DIR" | sha256sum | cut -c1-8)" 2>/dev/null; }

say "a server in a folder of its own"
"$batchyard" server --listen 127.0.0.1:0 >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    [ -s "$BATCHYARD_DATA_DIR/run/endpoint" ] && break
    kill -0 $server 2>/dev/null || { cat "$work/server.log"; server=; die "the server did not start"; }
    sleep 0.1
done
cat "$work/server.log"

say "a job with batchyard's own command line: its output comes here, its exit code too"
eval "$("$batchyard" env)"
# shellcheck disable=SC2016 # the job's shell expands it
run "$batchyard" run busybox -- sh -c 'echo "hello from job $AWS_BATCH_JOB_ID"; exit 7' && code=0 || code=$?
[ "$code" = 7 ] || die "expected the job's exit code 7, got $code"
echo "exit code: $code"

[ -n "$(cgroups)" ] || die "the jobs' cgroup is not where the last step will look for it"

say "the same with the AWS command line"
echo "\$ eval \"\$(batchyard env)\""
run "$aws" batch describe-job-queues --query 'jobQueues[].[jobQueueName,state,status]' --output table
# shellcheck disable=SC2016 # the job's shell expands it
run "$aws" batch register-job-definition --job-definition-name hello --type container --container-properties \
    '{"image":"busybox","command":["sh","-c","echo hello from attempt $AWS_BATCH_JOB_ATTEMPT on $(uname -sr)"],"resourceRequirements":[{"type":"VCPU","value":"1"},{"type":"MEMORY","value":"64"}]}' \
    --query jobDefinitionArn --output text
job=$(run "$aws" batch submit-job --job-name hello --job-queue default --job-definition hello --query jobId --output text)
echo "$job"
describe() { "$aws" batch describe-jobs --jobs "$job" --query "jobs[0].$1" --output text; }
for _ in $(seq 100); do
    status=$(describe status)
    case $status in SUCCEEDED | FAILED) break ;; esac
    sleep 0.2
done
[ "$status" = SUCCEEDED ] || { describe '[statusReason,container.reason]'; die "the job ended as $status"; }
line=$(run "$aws" logs get-log-events --log-group-name /aws/batch/job --log-stream-name "$(describe container.logStreamName)" \
    --start-from-head --query 'events[].message' --output text)
case $line in "hello from attempt 1 on Linux"*) ;; *) die "unexpected log: $line" ;; esac

say "stop, and look for anything left behind"
stop_server
clean_up
left_behind || die "the demo left something behind"
echo "nothing is left: no process, no mount, no cgroup, no folder"

printf '\n%s\n%s\n' "$line" "$status"
