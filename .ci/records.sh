# What goes before the shell blocks of pages that record measurements: what would train for hours
# writes down what it would run, and every single training runs once, for one update.
shopt -s nullglob
ascore() {
    set -- "${@//\/shared\//shared/}"
    case "$1" in
    train)
        case " $* " in *" --seed "[1-9]*) return ;; esac # as seed 0
        command ascore "$@" --episodes 1 --evaluate 0 ;;
    sweep) command ascore "$@" --slurm ;;
    reproduce)
        case "$*" in *--redraw*) command ascore "$@" ;; *) command ascore "$@" --slurm ;; esac ;;
    plot) [ ! -e "${2:-}" ] || command ascore "$@" ;; # the runs of sweeps were not trained
    render) command ascore "$@" --steps 3 ;;
    *) command ascore "$@" ;;
    esac
}
sbatch() { bash -n "${1/#\/shared\//shared/}"; }
