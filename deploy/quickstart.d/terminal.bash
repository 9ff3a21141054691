# How the quickstart speaks: steps, changes with their keys, and a closing line that stays at the bottom.
# Colours and the moving line need a terminal; NO_COLOR (https://no-color.org) is respected.
# shellcheck shell=bash disable=SC2034

moving=no
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then moving=yes; fi
bold='' dim='' green='' yellow='' red='' cyan='' plain=''
if [[ $moving == yes && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' yellow=$'\e[33m' red=$'\e[31m' cyan=$'\e[36m' plain=$'\e[0m'
fi
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
  *UTF-8* | *utf8* | *UTF8*) good=✓ bad=✗ dot=· ;;
  *) good=ok bad=NO dot=- ;;
esac

erase_line() { if [[ $moving == yes ]]; then printf '\r\e[K'; fi; }

# A step that takes a while: its name now, and with step_done what came of it.
step() {
  step_name=$1
  if [[ $moving == yes ]]; then printf '  %s %-12s%s%s%s' "$dot" "$step_name" "$dim" "${2:-}" "$plain"; fi
}
step_done() {
  erase_line
  printf '  %s%s%s %-12s%s\n' "$green" "$good" "$plain" "$step_name" "$1"
}

# Microseconds as milliseconds with one digit, in $milliseconds.
to_milliseconds() {
  local tenths=$((($1 + 50) / 100))
  printf -v milliseconds '%d.%d ms' $((tenths / 10)) $((tenths % 10))
}

# Usage: show_change SQL MICROSECONDS KEY...
show_change() {
  local sql=$1 microseconds=$2 colour=$yellow line='' key
  shift 2
  case $sql in
    INSERT*) colour=$green ;;
    DELETE*) colour=$red ;;
  esac
  to_milliseconds "$microseconds"
  erase_line
  printf '\n  %s%s%s%s\n' "$colour" "${sql%% *}" "$plain" "${sql#"${sql%% *}"}"
  for key in "$@"; do
    if ((${#line} > 0 && ${#line} + ${#key} > 60)); then
      printf '      %s%s%s\n' "$cyan" "$line" "$plain"
      line=
    fi
    line+=${line:+  }$key
  done
  if (($# == 0)); then
    printf '      %sno key\n%s' "$dim" "$plain"
  else
    printf '      %s%-60s%s gone in %s%s%s\n' "$cyan" "$line" "$plain" "$bold" "$milliseconds" "$plain"
  fi
}

# The line at the bottom, written anew each time; without a terminal it is an ordinary line.
show_footer() {
  if [[ $moving == yes ]]; then
    printf '\r\e[K  %s%s%s' "$dim" "$1" "$plain"
  else
    printf '  %s\n' "$1"
  fi
}
