# What goes before the shell blocks of the README and the tutorials in CI: every command runs, but
# trainings are short, and what would reproduce a figure of the paper only writes down what it would run.
ascore() {
    local begun=$SECONDS
    case "$1" in
    train) command ascore "$@" --episodes 64 --evaluate 20 ;;
    sweep)
        case "$*" in
        *--cell*) command ascore "$@" ;; # as the list says
        *) command ascore "$@" --set episodes=16 --evaluate 5 ;;
        esac
        ;;
    reproduce) command ascore "$@" --slurm ;;
    envs) command ascore "$@" --episodes 100 ;;
    bench)
        case "$*" in *--scaling*) set -- bench --help ;; esac # minutes, and it has tests of its own
        command ascore "$@" --quick --group call # tests and benches look after the others
        ;;
    *) command ascore "$@" ;;
    esac
    echo "--- ascore $1: $((SECONDS - begun)) s"
}
torchrun() { command torchrun "$@" --episodes 128 --evaluate 10; }
sbatch() { bash -n "$1"; }
