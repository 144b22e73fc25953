# Completion of yunqiao for bash: `source contrib/completion/yunqiao.bash`, or install it as
# /usr/share/bash-completion/completions/yunqiao. The words come from the client itself.

_yunqiao()
{
    local current=${COMP_WORDS[COMP_CWORD]} before='' word skip='' line
    local -a candidates=()

    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --token-file | --ca-file | --cert | --key | --manager-ca-file | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    if [[ $current == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--url --token-file --ca-file --cert --key --json --wide --no-wait --help' -- "$current")
        return
    fi

    # the command's words so far, without options and their values
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ -n $skip ]]; then
            skip=''
        elif [[ $word == --json || $word == --wide || $word == --no-wait || $word == --help || $word == --*=* ]]; then
            continue
        elif [[ $word == --* ]]; then
            skip=1
        else
            before+="$word "
        fi
    done

    while IFS= read -r line; do
        if [[ $line == "$before"* && $line != "$before" ]]; then
            line=${line#"$before"}
            candidates+=("${line%% *}")
        fi
    done < <("${COMP_WORDS[0]}" --complete-words 2>/dev/null)
    mapfile -t COMPREPLY < <(compgen -W "${candidates[*]}" -- "$current")
}
complete -F _yunqiao yunqiao
