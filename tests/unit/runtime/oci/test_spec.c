/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "runtime/oci/spec.h"
#include "tests/support/golden.h"

#include "json/json.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TEXT(literal) ((char *)(literal))

/* A record and what the machine adds, for a case to change. */
struct rig {
    struct dv_restart_policy policy;
    struct dv_log_config log;
    struct dv_resources resources;
    struct dv_container_spec spec;
    struct dv_container_state state;
    struct dv_container_record record;
    struct dv_oci_image image;
    struct dv_oci_user user;
    struct dv_oci_device device;
    struct dv_oci_devices devices;
    struct dv_oci_spec_input input;
};

static char *image_env[] = {TEXT("PATH=/bin"), TEXT("A=1")};
static char *image_cmd[] = {TEXT("/bin/serve"), TEXT("--now")};

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->spec = (struct dv_container_spec){.image_ref = TEXT("host/image:1"),
                                           .host_name = TEXT("web-host"),
                                           .domain_name = TEXT("web-domain"),
                                           .restart_policy = &rig->policy,
                                           .log = &rig->log};
    rig->record = (struct dv_container_record){
        .id = TEXT("7b0c"), .name = TEXT("web"), .spec = &rig->spec, .state = &rig->state};
    rig->image = (struct dv_oci_image){.env = {image_env, 2}, .cmd = {image_cmd, 2}};
    rig->devices.items = &rig->device;
    rig->input = (struct dv_oci_spec_input){.record = &rig->record,
                                            .image = &rig->image,
                                            .user = &rig->user,
                                            .devices = &rig->devices,
                                            .host_name = "web-host",
                                            .rootfs = "/run/davit/mounts/7b0c",
                                            .etc_dir = "/run/davit/containers/7b0c",
                                            .cgroup_path = "/davit/7b0c",
                                            .capabilities = (UINT64_C(1) << 41) - 1,
                                            .pids_limit = 4096};
}

static void indent(struct dv_buf *out, unsigned depth)
{
    cr_assert_eq(dv_buf_append_str(out, "\n", NULL), 0);
    for (unsigned i = 0; i < depth; i++)
        cr_assert_eq(dv_buf_append_str(out, "  ", NULL), 0);
}

/* One member or item a line, so that a golden file shows what changed. */
static void spread(const struct dv_buf *json, struct dv_buf *out)
{
    bool in_text = false;
    unsigned depth = 0;
    for (size_t i = 0; i < json->len; i++) {
        char c = json->data[i];
        if (in_text && c == '\\') {
            cr_assert_eq(dv_buf_append(out, &json->data[i++], 1, NULL), 0);
            c = json->data[i];
        } else if (c == '"') {
            in_text = !in_text;
        }
        bool closes = !in_text && (c == '}' || c == ']');
        bool opens = !in_text && (c == '{' || c == '[');
        if (closes && json->data[i - 1] != '{' && json->data[i - 1] != '[')
            indent(out, depth - 1);
        depth -= closes;
        cr_assert_eq(dv_buf_append(out, &c, 1, NULL), 0);
        depth += opens;
        if ((opens && json->data[i + 1] != '}' && json->data[i + 1] != ']') ||
            (!in_text && c == ','))
            indent(out, depth);
    }
    cr_assert_eq(dv_buf_append_str(out, "\n", NULL), 0);
}

static void expect(struct rig *rig, const char *name)
{
    DV_AUTO_IN_PLACE(dv_buf) json = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) lines = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_spec_write(&rig->input, &json, &err), 0, "%s", err.text);
    struct dv_json *tree = NULL;
    cr_assert_eq(dv_json_parse(json.data, json.len, &tree, &err), 0, "%s", err.text);
    dv_json_free(tree);
    spread(&json, &lines);
    dv_golden_expect("oci", name, lines.data, lines.len);
}

Test(oci_spec, plain_container)
{
    struct rig rig;
    rig_init(&rig);
    expect(&rig, "plain.json");
}

Test(oci_spec, everything_that_can_be_asked_for)
{
    struct rig rig;
    char *env[] = {TEXT("A"), TEXT("B=\"<&\xc3\xa4\"")};
    char *cmd[] = {TEXT("serve"), TEXT("")};
    char *entry[] = {TEXT("/init")};
    char *capabilities[] = {TEXT("net_admin")};
    char *hook_args[] = {TEXT("h"), TEXT("x")};
    uint32_t groups[] = {33, 44};
    struct dv_hook hooks[] = {
        {.path = TEXT("/opt/before"), .args = {hook_args, 2}, .timeout_s = 5, .type = 0},
        {.path = TEXT("/opt/after"), .type = 2}};
    struct dv_mount_point mounts[] = {{.source = TEXT("/srv/deep"),
                                       .destination = TEXT("/data/deep"),
                                       .propagation = DV_PROPAGATION_SLAVE},
                                      {.source = TEXT("/srv"),
                                       .destination = TEXT("/data"),
                                       .propagation = DV_PROPAGATION_RPRIVATE},
                                      {.source = TEXT("/srv/hosts"),
                                       .destination = TEXT("/etc//hosts/"),
                                       .propagation = DV_PROPAGATION_PRIVATE},
                                      {.source = TEXT("/srv/shm"),
                                       .destination = TEXT("/dev/shm"),
                                       .propagation = DV_PROPAGATION_RSHARED}};
    rig_init(&rig);
    rig.spec.env = (struct dv_texts){env, 2};
    rig.spec.cmd = (struct dv_texts){cmd, 2};
    rig.spec.extra_capabilities = (struct dv_texts){capabilities, 1};
    rig.spec.hooks = (struct dv_hook_list){hooks, 2};
    rig.spec.mount_points = (struct dv_mount_point_list){mounts, 4};
    rig.spec.tty = true;
    rig.resources = (struct dv_resources){
        .memory = TEXT("200M"), .memory_reservation = TEXT("1.5 g"), .memory_swap = TEXT("-1")};
    rig.spec.resources = &rig.resources;
    rig.image.entrypoint = (struct dv_texts){entry, 1};
    rig.image.working_dir = "srv/www";
    rig.user = (struct dv_oci_user){.uid = 101, .gid = 102, .groups = groups, .group_count = 2};
    rig.device = (struct dv_oci_device){.path = "/dev/ttyS0",
                                        .type = 'c',
                                        .major = 4,
                                        .minor = 64,
                                        .mode = 0660,
                                        .gid = 20,
                                        .permissions = "rw"};
    rig.devices.count = 1;
    expect(&rig, "everything.json");
}

Test(oci_spec, privileged_container)
{
    struct rig rig;
    rig_init(&rig);
    rig.spec.is_privileged = true;
    rig.input.with_seccomp = true;
    rig.input.pids_limit = 0;
    expect(&rig, "privileged.json");
}

Test(oci_spec, network_of_the_host)
{
    struct rig rig;
    rig_init(&rig);
    rig.spec.network_mode = DV_NETWORK_HOST;
    rig.input.host_name = "gateway";
    expect(&rig, "host_network.json");
}

Test(oci_spec, unified_control_groups)
{
    struct rig rig;
    rig_init(&rig);
    rig.input.is_cgroup_v2 = true;
    rig.input.etc_dir = NULL;
    rig.spec.domain_name = NULL;
    expect(&rig, "unified.json");
}

#if defined(__x86_64__)
Test(oci_spec, default_filter)
{
    struct rig rig;
    rig_init(&rig);
    rig.input.with_seccomp = true;
    expect(&rig, "filter.x86_64.json");
}
#endif

/* Whether a call is named by an entry with this action and no condition. */
static bool names(const struct dv_json *root, const char *call, const char *action)
{
    const struct dv_json *filter = dv_json_get(dv_json_get(root, "linux"), "seccomp");
    const struct dv_json *entry = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; entry; entry = dv_json_next(entry)) {
        if (strcmp(dv_json_text(dv_json_get(entry, "action")), action) != 0 ||
            dv_json_get(entry, "args"))
            continue;
        const struct dv_json *name = dv_json_first(dv_json_get(entry, "names"));
        for (; name; name = dv_json_next(name))
            if (strcmp(dv_json_text(name), call) == 0)
                return true;
    }
    return false;
}

Test(oci_spec, capability_opens_the_calls_it_is_for)
{
    static const struct {
        const char *capability;
        const char *call;
    } rows[] = {
        {"CAP_SYS_ADMIN", "mount"},
        {"CAP_SYS_ADMIN", "clone3"},
        {"CAP_BPF", "bpf"},
        {"CAP_SYS_ADMIN", "bpf"},
        {"CAP_SYSLOG", "syslog"},
        {"CAP_SYS_TIME", "clock_settime"},
        {"CAP_SYS_BOOT", "reboot"},
        {"CAP_SYS_NICE", "mbind"},
        {"CAP_SYS_MODULE", "init_module"},
        {"CAP_PERFMON", "perf_event_open"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int with = 0; with < 2; with++) {
            struct rig rig;
            char *extra[] = {TEXT(rows[i].capability)};
            rig_init(&rig);
            rig.input.with_seccomp = true;
            rig.spec.extra_capabilities = (struct dv_texts){extra, (size_t)with};
            DV_AUTO_IN_PLACE(dv_buf) json = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
            cr_assert_eq(dv_oci_spec_write(&rig.input, &json, NULL), 0);
            struct dv_json *parsed = NULL;
            cr_assert_eq(dv_json_parse(json.data, json.len, &parsed, NULL), 0);
            DV_AUTO(dv_json) root = parsed;
            cr_expect_eq(names(root, rows[i].call, "SCMP_ACT_ALLOW"), with == 1, "%s %s",
                         rows[i].capability, rows[i].call);
            bool is_unknown = strcmp(rows[i].call, "clone3") == 0;
            cr_expect_eq(names(root, rows[i].call, "SCMP_ACT_ERRNO"), with == 0 && !is_unknown);
        }
    }
}

static struct dv_json *written(struct rig *rig)
{
    DV_AUTO_IN_PLACE(dv_buf) json = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    struct dv_json *root = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_spec_write(&rig->input, &json, &err), 0, "%s", err.text);
    cr_assert_eq(dv_json_parse(json.data, json.len, &root, &err), 0, "%s", err.text);
    return root;
}

static void expect_list(const struct dv_json *root, const char *path, const char *wanted)
{
    dv_autofree char *list = list_at(root, path);
    cr_expect_str_eq(list, wanted, "%s is '%s'", path, list);
}

/* What Docker gives by default: a golden file that is written anew must not lose any of it. */
Test(oci_spec, confinement_is_that_of_docker)
{
    static const char capabilities[] =
        "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID "
        "CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE "
        "CAP_SETFCAP";
    struct rig rig;
    rig_init(&rig);
    rig.input.with_seccomp = true;
    DV_AUTO(dv_json) root = written(&rig);
    expect_list(root, "process.capabilities.bounding", capabilities);
    expect_list(root, "process.capabilities.effective", capabilities);
    expect_list(root, "process.capabilities.permitted", capabilities);
    expect_list(root, "process.capabilities.inheritable", "");
    expect_list(root, "process.capabilities.ambient", "");
    cr_expect(dv_json_bool(at(root, "process.noNewPrivileges")));
    expect_list(root, "linux.maskedPaths",
                "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats "
                "/proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats /sys/dev/block "
                "/sys/devices/virtual/powercap /sys/firmware /sys/fs/selinux");
    expect_list(root, "linux.readonlyPaths",
                "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger");
    cr_expect_str_eq(text_at(root, "linux.seccomp.defaultAction"), "SCMP_ACT_ERRNO");
    cr_expect_not(dv_json_bool(at(root, "linux.resources.devices[0].allow")));
    cr_expect_str_eq(text_at(root, "linux.resources.devices[0].access"), "rwm");
    cr_expect_null(at(root, "linux.resources.devices[0].type"), "of all types");
    const struct dv_json *mount = dv_json_first(dv_json_get(root, "mounts"));
    for (; mount; mount = dv_json_next(mount)) {
        const char *to = text_at(mount, "destination");
        bool is_kernel = strncmp(to, "/sys", 4) == 0 || strcmp(to, "/proc") == 0;
        const struct dv_json *options = dv_json_get(mount, "options");
        cr_expect(!is_kernel || has_item(options, "nosuid"), "%s", to);
        cr_expect(!is_kernel || has_item(options, "nodev"), "%s", to);
        cr_expect(strncmp(to, "/sys", 4) != 0 || has_item(options, "ro"), "%s", to);
    }
}

Test(oci_spec, capability_asked_for_by_name_reaches_users_that_are_not_root)
{
    struct rig rig;
    char *extra[] = {TEXT("net_admin"), TEXT("CAP_NET_RAW")};
    rig_init(&rig);
    rig.spec.extra_capabilities = (struct dv_texts){extra, 2};
    for (uint32_t uid = 0; uid < 2; uid++) {
        rig.user.uid = uid;
        DV_AUTO(dv_json) root = written(&rig);
        const char *wanted = uid ? "CAP_NET_ADMIN CAP_NET_RAW" : "";
        expect_list(root, "process.capabilities.ambient", wanted);
        expect_list(root, "process.capabilities.inheritable", wanted);
    }
}

Test(oci_spec, only_a_privileged_container_is_spared)
{
    struct rig rig;
    rig_init(&rig);
    rig.input.with_seccomp = true;
    rig.spec.is_privileged = true;
    DV_AUTO(dv_json) root = written(&rig);
    cr_expect_not(dv_json_bool(at(root, "process.noNewPrivileges")));
    cr_expect_null(at(root, "linux.maskedPaths"));
    cr_expect_null(at(root, "linux.readonlyPaths"));
    cr_expect_null(at(root, "linux.seccomp"));
    cr_expect(dv_json_bool(at(root, "linux.resources.devices[0].allow")));
}

Test(oci_spec, wrong_descriptions_are_refused_by_name)
{
    struct rig rig;
    char *capabilities[] = {TEXT("CAP_FLY")};
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_OCI_SPEC_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    rig_init(&rig);
    rig.spec.extra_capabilities = (struct dv_texts){capabilities, 1};
    cr_assert_eq(dv_oci_spec_write(&rig.input, &out, &err), -DV_ERR_INVALID);
    cr_assert_not_null(strstr(err.text, "CAP_FLY"));

    rig_init(&rig);
    rig.resources.memory = TEXT("lots");
    rig.spec.resources = &rig.resources;
    dv_buf_clear(&out);
    dv_error_clear(&err);
    cr_assert_eq(dv_oci_spec_write(&rig.input, &out, &err), -DV_ERR_INVALID);
    cr_assert_not_null(strstr(err.text, "lots"));

    rig_init(&rig);
    rig.image.cmd.count = 0;
    dv_buf_clear(&out);
    cr_assert_eq(dv_oci_spec_write(&rig.input, &out, NULL), -DV_ERR_INVALID);
}
