#compdef peapod
# zsh completion for peapod: `peapod __complete` says what may stand there. Its first line says what else to offer: files, folders, or
# nothing but the words below; a word that ends with . or = goes on.
_peapod() {
  local line kind
  local -a lines whole open
  lines=("${(@f)$(${(Q)~words[1]} __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  kind=$lines[1]
  for line in $lines[2,-1]; do
    line=${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}
    if [[ ${line%%:*} == *[.=] ]]; then open+=("$line"); else whole+=("$line"); fi
  done
  (($#whole)) && _describe value whole
  (($#open)) && _describe value open -S ''
  case $kind in
    files) _files ;;
    folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _peapod ]]; then _peapod "$@"; else compdef _peapod peapod; fi
