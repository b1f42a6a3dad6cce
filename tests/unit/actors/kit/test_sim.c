/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#include <criterion/criterion.h>

TestSuite(sim, .timeout = 100);

Test(sim, every_scenario_holds_under_every_seed)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        for (uint64_t seed = 1; seed <= 20; seed++)
            (void)scenario_run_sim(scenario, seed);
}

Test(sim, equal_seeds_give_equal_traces)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        for (uint64_t seed = 1; seed <= 5; seed++)
            cr_assert_eq(scenario_run_sim(scenario, seed), scenario_run_sim(scenario, seed), "%s",
                         scenario->name);
}

Test(sim, other_seeds_give_other_orders)
{
    const struct scenario *scenario = scenario_find("full_mailbox_is_busy");
    uint64_t first = scenario_run_sim(scenario, 1);
    int other = 0;
    for (uint64_t seed = 2; seed <= 10; seed++)
        other += scenario_run_sim(scenario, seed) != first;
    cr_assert(other > 0);
}
