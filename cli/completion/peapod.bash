# bash completion for peapod: `peapod __complete` says what may stand there. Its first line says what else to offer: files, folders, or
# nothing but the words below; a word that ends with . or = goes on.
_peapod() {
  local line=${COMP_LINE:0:COMP_POINT} piece=${COMP_WORDS[COMP_CWORD]} word rest kind=
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  # bash cuts words at = and : too, and wants what follows the last of them.
  [[ -z ${piece//[=:]/} ]] && piece=
  word=${words[-1]}
  local lead=${word%"$piece"}
  COMPREPLY=()
  {
    read -r kind
    while IFS=$'\t' read -r word rest; do COMPREPLY+=("${word#"$lead"}"); done
  } < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
  case $kind in
    files | folders)
      compopt -o filenames 2>/dev/null
      while read -r word; do COMPREPLY+=("$word"); done < <(compgen -"$([[ $kind == files ]] && echo f || echo d)" -- "$piece")
      ;;
  esac
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[.=] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _peapod peapod
