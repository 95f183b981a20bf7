# Records the page allocator of the running kernel while a command runs.
#
# Needs root and tracefs; of programs: cat, mkdir, rmdir, rm, mv, sleep and the compressor
# in rmq_pack.  Run it as it is: sh FILE.  Its exit status is the command's, 128 and the
# signal's number after a signal, or 125 if nothing could be recorded.
#
# Every name begins with rmq_, so that none hides a command that is to be recorded.

set -u
LC_ALL=C
export LC_ALL
umask 022
rmq_instance='' rmq_work='' rmq_child='' rmq_packer='' rmq_signal='' rmq_status=0

rmq_say() { printf 'rmqueue: %s\n' "$*" >&2; }
rmq_die() { rmq_say "$1"; exit "${2:-125}"; }

# Leaves nothing behind, whatever has happened.
rmq_clean() {
    trap '' INT TERM HUP
    trap - EXIT
    [ -z "$rmq_child" ] || kill "$rmq_child" 2>/dev/null
    if [ -n "$rmq_instance" ]; then
        { echo 0 >"$rmq_instance/tracing_on"; } 2>/dev/null
        rmq_stop_reader
        # busy until its last reader has gone
        for rmq_try in 1 2 3 4 5; do
            rmdir "$rmq_instance" 2>/dev/null && rmq_instance='' && break
            sleep 1
        done
        [ -z "$rmq_instance" ] || rmq_say "$rmq_instance: cannot be removed: use rmdir"
    fi
    [ -z "$rmq_work" ] || rm -rf "$rmq_work"
}

rmq_stop_reader() {
    [ -n "$rmq_packer" ] || return 0
    if [ -s "$rmq_work/.reader" ]; then
        read -r rmq_reader <"$rmq_work/.reader"
        kill -9 "$rmq_reader" 2>/dev/null
    fi
    wait "$rmq_packer" 2>/dev/null
    rmq_packed=$?
    rmq_packer=''
}

# Write a value to a file of the instance, which must be there already.
rmq_set() {
    [ -e "$rmq_instance/$1" ] || rmq_die "$rmq_instance/$1: no such file"
    { printf '%s\n' "$2" >"$rmq_instance/$1"; } 2>/dev/null ||
        rmq_die "$rmq_instance/$1: the kernel refuses '$2'"
}

rmq_copy() {
    { cat "$1" >"$2"; } 2>/dev/null || rmq_die "$1: cannot be copied to $2"
}

# Give a text as a JSON string.
rmq_json() {
    rmq_rest=$1 rmq_text=''
    while :; do
        case $rmq_rest in
        *[\"\\]*)
            rmq_head=${rmq_rest%%[\"\\]*}
            rmq_rest=${rmq_rest#"$rmq_head"}
            rmq_text=$rmq_text$rmq_head\\${rmq_rest%"${rmq_rest#?}"}
            rmq_rest=${rmq_rest#?}
            ;;
        *) break ;;
        esac
    done
    printf '"%s"' "$rmq_text$rmq_rest"
}

# Give words as a JSON list of strings.
rmq_list() {
    rmq_comma=''
    printf '['
    for rmq_word in "$@"; do
        printf '%s"%s"' "$rmq_comma" "$rmq_word"
        rmq_comma=', '
    done
    printf ']'
}

# Give the first line of a file as a JSON string.
rmq_line() {
    rmq_first=''
    read -r rmq_first <"$1"
    rmq_json "$rmq_first"
}

rmq_find_tracefs() {
    eval "set -- $rmq_places"
    rmq_tracefs=''
    for rmq_place in "$@"; do
        [ -d "$rmq_place/events" ] && rmq_tracefs=$rmq_place && break
    done
    [ -n "$rmq_tracefs" ] || rmq_die "no tracefs at $*: are you root, is it mounted?
rmqueue: 'mount -t tracefs nodev $1' mounts it"
    [ -d "$rmq_tracefs/instances" ] ||
        rmq_die "$rmq_tracefs: this kernel has no instances: it is too old"
    [ -w "$rmq_tracefs/instances" ] && [ -r "$rmq_proc/pagetypeinfo" ] ||
        rmq_die "a kernel is recorded by root"
}

rmq_choose_events() {
    rmq_events=$rmq_needed rmq_missing=''
    for rmq_event in $rmq_needed; do
        [ -e "$rmq_tracefs/events/$rmq_event/enable" ] ||
            rmq_die "this kernel has no event $rmq_event"
    done
    for rmq_event in $rmq_welcome; do
        if [ -e "$rmq_tracefs/events/$rmq_event/enable" ]; then
            rmq_events="$rmq_events $rmq_event"
        else
            rmq_missing="$rmq_missing $rmq_event"
        fi
    done
}

# CPUs that zones have lists for; order of a pageblock; size of a buffer.
rmq_measure() {
    rmq_cpus=1
    while read -r rmq_key rmq_value rmq_unit; do
        [ "$rmq_key" = cpu: ] && [ "$rmq_value" -ge "$rmq_cpus" ] &&
            rmq_cpus=$((rmq_value + 1))
    done <"$rmq_proc/zoneinfo"
    rmq_order=null
    read -r rmq_key rmq_value rmq_unit rmq_order <"$rmq_proc/pagetypeinfo"
    [ -z "$rmq_buffer_kb" ] || return 0
    while read -r rmq_key rmq_value rmq_unit; do
        [ "$rmq_key" != MemFree: ] ||
            rmq_buffer_kb=$((rmq_value / rmq_free_share / rmq_cpus))
    done <"$rmq_proc/meminfo"
    [ "${rmq_buffer_kb:-0}" -ge "$rmq_least_kb" ] || rmq_buffer_kb=$rmq_least_kb
    [ "$rmq_buffer_kb" -le "$rmq_most_kb" ] || rmq_buffer_kb=$rmq_most_kb
}

rmq_set_up() {
    rmq_path=$rmq_tracefs/instances/rmqueue-$$
    mkdir "$rmq_path" || rmq_die "$rmq_path: cannot be made"
    rmq_instance=$rmq_path
    rmq_set tracing_on 0
    rmq_set trace_clock "$rmq_clock"
    rmq_set buffer_size_kb "$rmq_buffer_kb"
    for rmq_option in $rmq_options; do
        [ ! -e "$rmq_instance/options/${rmq_option%=*}" ] ||
            rmq_set "options/${rmq_option%=*}" "${rmq_option#*=}"
    done
    for rmq_event in $rmq_events; do
        rmq_set "events/$rmq_event/enable" 1
        cat "$rmq_tracefs/events/$rmq_event/format" >>"$rmq_work/formats.txt" ||
            rmq_die "$rmq_work/formats.txt: cannot be written"
    done
}

# No signal to the whole group of processes may end the reader before the last event.
rmq_start_reader() {
    (
        trap '' INT TERM HUP
        cat "$rmq_instance/trace_pipe" &
        echo $! >"$rmq_work/.reader"
        { wait $!; } 2>/dev/null
    ) | (
        trap '' INT TERM HUP
        exec $rmq_pack >"$rmq_work/$rmq_trace"
    ) &
    rmq_packer=$!
    while [ ! -s "$rmq_work/.reader" ]; do
        kill -0 "$rmq_packer" 2>/dev/null || rmq_die "$rmq_pack: has failed"
    done
}

# Whether the reader has had all events.
rmq_is_empty() {
    for rmq_file in "$rmq_instance"/per_cpu/cpu*/stats; do
        while IFS=: read -r rmq_key rmq_value; do
            [ "$rmq_key" = entries ] && [ "${rmq_value# }" != 0 ] && return 1
        done <"$rmq_file"
    done
    return 0
}

# The reader waits for ever where the kernel does not tell it that tracing is off.
rmq_finish_reader() {
    read -r rmq_reader <"$rmq_work/.reader"
    rmq_try=1
    while kill -0 "$rmq_reader" 2>/dev/null && [ "$rmq_try" -lt 600 ]; do
        rmq_is_empty && [ "$rmq_try" -gt 1 ] && break
        rmq_try=$((rmq_try + 1))
        sleep 1
    done
    rmq_stop_reader
    [ "$rmq_packed" = 0 ] ||
        rmq_die "$rmq_work/$rmq_trace: $rmq_pack failed: is the disk full?"
    rm -f "$rmq_work/.reader"
}

# First the marks, then what takes longer: the window ends where the command does.
rmq_run() {
    trap 'rmq_signal=INT rmq_status=130; rmq_tell' INT
    trap 'rmq_signal=TERM rmq_status=143; rmq_tell' TERM
    trap 'rmq_signal=HUP rmq_status=129; rmq_tell' HUP
    exec 3<&0
    "$@" <&3 3<&- &
    rmq_child=$!
    wait "$rmq_child"
    rmq_ended=$?
    [ -n "$rmq_signal" ] || rmq_status=$rmq_ended rmq_child=''
    exec 3<&-
    trap 'exit 130' INT TERM HUP
}

rmq_tell() { kill "$rmq_child" 2>/dev/null; }

# A command that does not heed the signal is killed.
rmq_end_command() {
    [ -n "$rmq_child" ] || return 0
    (
        sleep 5
        kill -9 "$rmq_child"
    ) >/dev/null 2>&1 &
    wait "$rmq_child" 2>/dev/null
    kill $! 2>/dev/null
    rmq_child=''
}

rmq_sum_lost() {
    rmq_overrun=0 rmq_commit=0 rmq_dropped=0
    for rmq_file in "$rmq_instance"/per_cpu/cpu*/stats; do
        while IFS=: read -r rmq_key rmq_value; do
            case $rmq_key in
            overrun) rmq_overrun=$((rmq_overrun + ${rmq_value# })) ;;
            'commit overrun') rmq_commit=$((rmq_commit + ${rmq_value# })) ;;
            'dropped events') rmq_dropped=$((rmq_dropped + ${rmq_value# })) ;;
            esac
        done <"$rmq_file"
    done
    rmq_lost=$((rmq_overrun + rmq_commit + rmq_dropped))
}

rmq_stats() {
    rmq_outer=''
    for rmq_folder in "$rmq_instance"/per_cpu/cpu*; do
        printf '%s\n  "%s": {' "$rmq_outer" "${rmq_folder##*/}"
        rmq_outer=, rmq_inner=''
        while IFS=: read -r rmq_key rmq_value; do
            rmq_value=${rmq_value##* }
            printf '%s"%s": "%s"' "$rmq_inner" "$rmq_key" "$rmq_value"
            rmq_inner=', '
        done <"$rmq_folder/stats"
        printf '}'
    done
}

rmq_paths() {
    for rmq_file in $rmq_files $rmq_counts; do
        printf '  "start_%s": "start-%s.txt",\n' "$rmq_file" "$rmq_file"
        printf '  "end_%s": "end-%s.txt",\n' "$rmq_file" "$rmq_file"
    done
    printf '  "formats": "formats.txt",\n  "trace": "%s"\n' "$rmq_trace"
}

rmq_about() {
    rmq_stopped=null rmq_exit=$rmq_status
    [ -z "$rmq_signal" ] || rmq_stopped="\"SIG$rmq_signal\"" rmq_exit=null
    cat <<RMQ_END
{
 "name": $rmq_json_name,
 "recorded_by": $rmq_json_by,
 "kernel_package": $(rmq_line "$rmq_proc/sys/kernel/osrelease"),
 "kernel_version": $(rmq_line "$rmq_proc/version"),
 "kernel_cmdline": $(rmq_line "$rmq_proc/cmdline"),
 "cpus": $rmq_cpus,
 "page_block_order": $rmq_order,
 "workload_cmd": $rmq_json_words,
 "command": $rmq_json_command,
 "exit_status": $rmq_exit,
 "stopped_by": $rmq_stopped,
 "format": "tracefs",
 "trace_clock": $(rmq_line "$rmq_instance/trace_clock"),
 "buffer_kb_per_cpu": $(rmq_line "$rmq_instance/buffer_size_kb"),
 "enabled_events": $(rmq_list $rmq_events),
 "missing_events": $(rmq_list $rmq_missing),
 "per_cpu_stats": {$(rmq_stats)
 },
 "lost_events": {
  "overrun": $rmq_overrun,
  "commit overrun": $rmq_commit,
  "dropped events": $rmq_dropped
 },
 "start_state": {
  "exact": false,
  "from": $rmq_json_from,
  "note": $rmq_json_note
 },
 "paths": {
$(rmq_paths)
 }
}
RMQ_END
}

rmq_take() {
    rmq_start_reader
    rmq_set tracing_on 1
    for rmq_file in $rmq_files; do
        rmq_copy "$rmq_proc/$rmq_file" "$rmq_work/start-$rmq_file.txt"
    done
    rmq_set trace_marker "$rmq_reading_mark"
    for rmq_file in $rmq_counts; do
        rmq_copy "$rmq_proc/$rmq_file" "$rmq_work/start-$rmq_file.txt"
    done
    rmq_set trace_marker "$rmq_first_mark"
    rmq_run "$@"
    rmq_set trace_marker "$rmq_last_mark"
    for rmq_file in $rmq_counts_back; do
        rmq_copy "$rmq_proc/$rmq_file" "$rmq_work/end-$rmq_file.txt"
    done
    rmq_set trace_marker "$rmq_read_mark"
    rmq_set tracing_on 0
    for rmq_file in $rmq_files; do
        rmq_copy "$rmq_proc/$rmq_file" "$rmq_work/end-$rmq_file.txt"
    done
    rmq_end_command
    rmq_finish_reader
}

rmq_main() {
    rmq_target=$rmq_parent/$rmq_name
    [ ! -e "$rmq_target" ] || rmq_die "$rmq_target: exists" 2
    command -v "$1" >/dev/null || rmq_die "$1: command not found" 127
    command -v "${rmq_pack%% *}" >/dev/null || rmq_die "there is no ${rmq_pack%% *}"
    rmq_find_tracefs
    rmq_choose_events
    rmq_measure
    trap rmq_clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rmq_path=$rmq_parent/.$rmq_name.$$
    mkdir "$rmq_path" || rmq_die "$rmq_path: cannot be made"
    rmq_work=$rmq_path
    rmq_set_up
    rmq_take "$@"
    rmq_sum_lost
    rmq_about >"$rmq_work/recording.json" ||
        rmq_die "$rmq_work/recording.json: cannot be written"
    [ ! -e "$rmq_target" ] || rmq_die "$rmq_target: somebody has made it meanwhile"
    mv "$rmq_work" "$rmq_target" || rmq_die "$rmq_target: cannot be made"
    rmq_work=''
    rmq_say "$rmq_target: $rmq_lost events lost"
    exit "$rmq_status"
}
