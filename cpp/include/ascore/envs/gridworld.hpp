/// What Cleanup and Harvest share: sites on a map, agents that walk, turn and get in each other's
/// way, and the ways of observing them.
///
/// Rules: Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social
/// dilemmas", and Christoffersen et al. 2023, "Get it in writing". `docs/decisions.md` lists what
/// was decided where these are silent.
#pragma once

#include "ascore/envs/gridmap.hpp"
#include "ascore/envs/gridview.hpp"
#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/envs/gridworld/beams.hpp"
#include "ascore/envs/gridworld/ground.hpp"
#include "ascore/envs/gridworld/inspect.hpp"
#include "ascore/envs/gridworld/options.hpp"
#include "ascore/envs/gridworld/screen.hpp"
#include "ascore/envs/gridworld/sites.hpp"
