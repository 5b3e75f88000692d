# bash completion for stopctl(1)
#
# Words come from the program where they can: the instances of this host are asked for with the options
# that stand on the line (another socket has other instances), within a second, and without a word if
# nobody answers.

# The options that say where the daemon is, as they stand on the line so far.
_stopctl_where() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket | --config) printf '%s\n' "${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}" ;;
        esac
    done
}

# The first column of the table without its head.
_stopctl_instances() {
    local -a where
    mapfile -t where < <(_stopctl_where)
    timeout 1 stopctl status "${where[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# The sinks that have refused something: of the others only the configuration knows.
_stopctl_refused() {
    local -a where
    mapfile -t where < <(_stopctl_where)
    timeout 1 stopctl events --dead-letters "${where[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }' | sort -u
}

# The verb on the line so far, if there is one.
_stopctl_verb() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket | --config | --replay | --drop) ((i++)) ;;
            -*) ;;
            *)
                printf '%s\n' "${COMP_WORDS[i]}"
                return
                ;;
        esac
    done
}

_stopctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb
    local verbs='stop status show watch cancel clear retry may-start certificate events version help'
    local options='--json --socket --config --help'

    COMPREPLY=()
    case $previous in
        --socket | --config | --verify | --with)
            compopt -o default
            return
            ;;
        --on-timeout)
            mapfile -t COMPREPLY < <(compgen -W 'fail force' -- "$current")
            return
            ;;
        --stopped-mode)
            mapfile -t COMPREPLY < <(compgen -W 'KeepCharging StopCharging' -- "$current")
            return
            ;;
        --override)
            mapfile -t COMPREPLY < <(compgen -W 'lock arrears lock,arrears' -- "$current")
            return
            ;;
        --replay | --drop)
            mapfile -t COMPREPLY < <(compgen -W "$(_stopctl_refused)" -- "$current")
            return
            ;;
        --grace | --timeout | --token | --after) return ;;
    esac

    verb=$(_stopctl_verb)
    case $verb in
        '') options+=' --version' ;;
        stop)
            options+=' --force --confirm --grace --on-timeout --stopped-mode --override --token'
            options+=' --dry-run --no-wait --timeout --yes'
            ;;
        clear) options+=' --confirm --no-wait --timeout --yes' ;;
        retry) options+=' --no-wait --timeout' ;;
        certificate) options+=' --key --verify --with' ;;
        events) options+=' --after --follow --dead-letters --replay --drop --all' ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case $verb in
        '' | help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$current") ;;
        stop | status | show | cancel | clear | retry | may-start | certificate)
            mapfile -t COMPREPLY < <(compgen -W "$(_stopctl_instances)" -- "$current")
            ;;
    esac
}

complete -F _stopctl stopctl
