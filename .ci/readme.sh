# What goes before the README's shell blocks in CI: every command runs, but trainings are short, and
# what would reproduce a figure of the paper only writes down what it would run.
ascore() {
    local begun=$SECONDS
    case "$1" in
    train) command ascore "$@" --episodes 64 --evaluate 20 ;;
    sweep) command ascore "$@" --set episodes=16 --evaluate 5 ;;
    reproduce) command ascore "$@" --slurm ;;
    envs) command ascore "$@" --episodes 100 ;;
    bench) command ascore "$@" --quick --group twin ;; # tests and benches look after the others
    *) command ascore "$@" ;;
    esac
    echo "--- ascore $1: $((SECONDS - begun)) s"
}
torchrun() { command torchrun "$@" --episodes 128 --evaluate 10; }
