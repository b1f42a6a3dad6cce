/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/software/known.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct dv_container_spec spec;
static struct dv_container_state state;
static struct dv_error err;
static char *ids[4];
static size_t count;

static void put(struct known_set *set, const char *id, const char *name, const char *module)
{
    spec.image_ref = (char *)"r.example/a:1";
    struct dv_container_record record = {.id = (char *)id,
                                         .name = (char *)name,
                                         .spec = &spec,
                                         .state = &state,
                                         .module_name = (char *)module,
                                         .module_version = (char *)(module ? "2" : NULL)};
    cr_assert_eq(known_put(set, &record, &err), 1);
}

static size_t resolve(const struct known_set *set, struct dv_dependency item)
{
    while (count)
        free(ids[--count]);
    err = DV_ERROR_INIT;
    count = known_resolve(set, &item, ids, 4, &err);
    return count;
}

#define ITEM(...) ((struct dv_dependency){__VA_ARGS__})
#define T(text)   ((char *)(text))

/* shows: D19 */
Test(known, a_dependency_is_an_id_or_a_module_or_a_name)
{
    DV_AUTO(known_set) set = known_new();
    put(set, "c3", "web", "shop");
    put(set, "c1", "db", "shop");
    put(set, "c2", "shop", NULL);
    cr_assert_eq(resolve(set, ITEM(.name = T("c1"))), 1);
    cr_assert_str_eq(ids[0], "c1");
    cr_assert_eq(resolve(set, ITEM(.name = T("shop"))), 2, "the module goes before the name");
    cr_assert_str_eq(ids[0], "c1");
    cr_assert_str_eq(ids[1], "c3");
    cr_assert_eq(resolve(set, ITEM(.name = T("shop"), .version = T("2"))), 2);
    cr_assert_eq(resolve(set, ITEM(.name = T("shop"), .version = T("3"))), 1,
                 "no such module: the container of that name");
    cr_assert_eq(resolve(set, ITEM(.name = T("web"))), 1);
    cr_assert_str_eq(ids[0], "c3");
    cr_assert_eq(resolve(set, ITEM(.name = T("nosuch"))), 0);
    cr_assert_str_eq(err.text, "container with ID = nosuch does not exist");
}

/* shows: remove-matches */
Test(known, group_and_type_must_match_where_they_are_given)
{
    DV_AUTO(known_set) set = known_new();
    put(set, "c1", "web", NULL);
    cr_assert_eq(resolve(set, ITEM(.name = T("c1"), .group = T("r.example/a"))), 1);
    cr_assert_eq(resolve(set, ITEM(.name = T("c1"), .group = T("r.example/b"))), 0);
    cr_assert_eq(resolve(set, ITEM(.name = T("c1"), .type = T("OCI:container"))), 1);
    cr_assert_eq(resolve(set, ITEM(.name = T("c1"), .type = T("deb"))), 0);
    cr_assert_eq(err.class, DV_ERR_NOT_FOUND);
}

Test(known, a_name_of_several_containers_means_none)
{
    DV_AUTO(known_set) set = known_new();
    put(set, "c1", "web", NULL);
    put(set, "c2", "web", NULL);
    bool is_ambiguous;
    cr_assert(known_by_name(set, "web", &is_ambiguous));
    cr_assert(is_ambiguous);
    cr_assert_eq(resolve(set, ITEM(.name = T("web"))), 0);
    cr_assert(strstr(err.text, "several"));
}

Test(known, what_is_not_shown_is_no_change)
{
    DV_AUTO(known_set) set = known_new();
    put(set, "c1", "web", NULL);
    struct dv_container_record record = {
        .id = T("c1"), .name = T("web"), .spec = &spec, .state = &state};
    state.status = DV_STATUS_RUNNING;
    cr_assert_eq(known_put(set, &record, &err), 0);
    cr_assert_eq(known_by_id(set, "c1")->status, DV_STATUS_RUNNING);
    record.name = T("other");
    cr_assert_eq(known_put(set, &record, &err), 0, "names are not shown");
    cr_assert_str_eq(known_by_id(set, "c1")->name, "other");
    cr_assert(known_drop(set, "c1"));
    cr_assert_not(known_drop(set, "c1"));
    cr_assert_eq(known_count(set), 0);
    cr_assert_null(known_at(set, 0));
}
