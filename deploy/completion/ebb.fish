# SPDX-License-Identifier: Apache-2.0
#
# Completion of ebb for fish: into /usr/share/fish/vendor_completions.d or
# ~/.config/fish/completions. What there is to complete says the program itself.

function __ebb_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$word" 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path "$word"
            case ':dir'
                __fish_complete_directories "$word"
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c ebb -f -a '(__ebb_complete)'
