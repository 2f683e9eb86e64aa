# fish completion for peapod: `peapod __complete` says what may stand there. Its first line says what else to offer: files, folders, or
# nothing but the words below; a word that ends with . or = goes on.
function __peapod_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
    end
    string join \n -- $lines[2..-1]
end
complete -c peapod -f -a "(__peapod_complete)"
