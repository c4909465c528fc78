// SPDX-License-Identifier: MIT
// The debugger stub over a fake machine: packets and their replies as tables, the order of stops and resumes, a
// connection that ends at a bad time, and bytes that no debugger would send.
#include "control/gdb/gdb.h"
#include "control/gdb/packet.h"
#include "tests/gdb/fake.h"

#include <criterion/criterion.h>
#include <string.h>

struct rig {
    struct machine machine;
    struct fake_channel channel;
    struct gdb *gdb;
};

static void rig_open(struct rig *rig)
{
    fake_machine_init(&rig->machine);
    fake_channel_init(&rig->channel);
    const struct gdb_config config = {.machine = &rig->machine, .chardev = &rig->channel.chardev};
    cr_assert_eq(gdb_create(&config, &rig->gdb, NULL), 0);
    chardev_notify(&rig->channel.chardev, CHARDEV_OPENED);
    fake_machine_turn(&rig->machine);
}

static void rig_close(struct rig *rig)
{
    gdb_destroy(rig->gdb);
    cr_expect_null(rig->channel.chardev.sink);
}

static void feed(struct rig *rig, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    while (len) {
        size_t part = chardev_can_deliver(&rig->channel.chardev);
        cr_assert(part, "the stub takes nothing any more");
        part = part < len ? part : len;
        chardev_deliver(&rig->channel.chardev, p, part);
        fake_machine_turn(&rig->machine);
        p += part;
        len -= part;
    }
}

static void send_packet(struct rig *rig, const char *payload, size_t len)
{
    uint8_t sum = 0;
    char tail[4];
    for (size_t i = 0; i < len; i++)
        sum += (uint8_t)payload[i];
    snprintf(tail, sizeof tail, "#%02x", sum);
    feed(rig, "$", 1);
    feed(rig, payload, len);
    feed(rig, tail, 3);
}

static const char *taken(struct rig *rig)
{
    rig->channel.len = 0;
    return rig->channel.out;
}

// What comes back for one packet.
static const char *ask(struct rig *rig, const char *payload)
{
    rig->channel.len = 0;
    rig->channel.out[0] = 0;
    send_packet(rig, payload, strlen(payload));
    return taken(rig);
}

#define EXPECT_REPLY(rig, packet, wanted)                                                                             \
    do {                                                                                                              \
        const char *got_ = ask(rig, packet);                                                                          \
        cr_expect_str_eq(got_, wanted, "%s\n  gave   %s\n  wanted %s", packet, got_, wanted);                         \
    } while (0)

static const struct {
    const char *packet, *reply;
} rows[] = {
    // what there is
    {"qSupported:multiprocess+;swbreak+;xmlRegisters=i386",
     "+$PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;multiprocess+;swbreak+;hwbreak+"},
    {"vMustReplyEmpty", "+$"},
    {"qOffsets", "+$"},
    {"jThreadsInfo", "+$"},
    {"qHostInfo", "+$triple:746f792d756e6b6e6f776e2d756e6b6e6f776e;ptrsize:8;endian:little;"
                  "watchpoint_exceptions_received:before;"},
    {"qProcessInfo", "+$pid:1;triple:746f792d756e6b6e6f776e2d756e6b6e6f776e;ptrsize:8;endian:little;"},
    {"QThreadSuffixSupported", "+$"},
    {"qRegisterInfo0", "+$"},
    {"qAttached", "+$1"},
    {"qAttached:1", "+$1"},
    {"vCont?", "+$vCont;c;C;s;S"},
    {"!", "+$OK"},
    {"qSymbol::", "+$OK"},
    // threads
    {"?", "+$T05thread:p1.1;03:0010000000000000;02:0000000000000000;"},
    {"qC", "+$QCp1.1"},
    {"qfThreadInfo", "+$mp1.1,p1.2,p1.3"},
    {"qsThreadInfo", "+$l"},
    {"qThreadExtraInfo,p1.2", "+$4350552331205b6f6e5d"},
    {"qThreadExtraInfo,2", "+$4350552331205b6f6e5d"},
    {"qThreadExtraInfo,p1.9", "+$E16"},
    {"T1", "+$OK"},
    {"Tp1.3", "+$OK"},
    {"Tp1.4", "+$E16"},
    {"Tp2.1", "+$E16"},
    {"Hg2", "+$OK"},
    {"qC", "+$QCp1.2"},
    {"p0", "+$8977665544332211"},
    {"Hg0", "+$OK"},
    {"Hgp1.1", "+$OK"},
    {"Hc-1", "+$OK"},
    {"Hcp1.-1", "+$OK"},
    {"Hg99", "+$E16"},
    {"H", "+$E16"},
    // registers
    {"p0", "+$8877665544332211"},
    {"p3", "+$0010000000000000"},
    {"p6", "+$xxxxxxxxxxxxxxxx"},
    {"p7", "+$E16"},
    {"pzz", "+$E16"},
    {"p11112222333344445", "+$E16"},
    {"P1=efcdab8967452301", "+$OK"},
    {"p1", "+$efcdab8967452301"},
    {"P1=efcdab89674523", "+$E16"},
    {"P6=0000000000000000", "+$E16"},
    {"P99=00", "+$E16"},
    {"P5=0100000000000000", "+$OK"},
    {"p5", "+$0100000000000000"},
    {"g", "+$8877665544332211efcdab896745230100000000000000000010000000000000"
          "00000000000000000000000000000000"},
    {"G01000000000000000200000000000000", "+$OK"},
    {"p0", "+$0100000000000000"},
    {"p1", "+$0200000000000000"},
    {"G0100000000000000020000000000", "+$E16"},
    {"gx", "+$"},
    // memory
    {"m1010,4", "+$10111213"},
    {"m1010,0", "+$"},
    {"m2ffe,8", "+$feff"},
    {"m3000,4", "+$E0e"},
    {"mffffffffffffffff,4", "+$E0e"},
    {"m1000", "+$E16"},
    {"m,", "+$E16"},
    {"M1010,2:aabb", "+$OK"},
    {"m1010,4", "+$aabb1213"},
    {"M1010,2:aa", "+$E16"},
    {"M1010,ffffffff:aa", "+$E16"},
    {"M2fff,2:aabb", "+$E0e"},
    {"X1010,0:", "+$OK"},
    {"X1010,2:xy", "+$OK"},
    {"X1010,3:xy", "+$E16"},
    {"m1010,3", "+$787912"},
    {"qqemu.PhyMemMode", "+$0"},
    {"Qqemu.PhyMemMode:1", "+$OK"},
    {"qqemu.PhyMemMode", "+$1"},
    {"m1010,4", "+$E0e"},
    {"M1010,1:00", "+$E0e"},
    {"Qqemu.PhyMemMode:2", "+$E16"},
    {"Qqemu.PhyMemMode:0", "+$OK"},
    // break- and watchpoints
    {"Z0,1000,4", "+$OK"},
    {"Z0,1000,4", "+$OK"},
    {"Z1,1000,4", "+$OK"},
    {"z0,1000,4", "+$OK"},
    {"z1,1000,4", "+$OK"},
    {"z1,1000,4", "+$OK"},
    {"Z2,1000,8", "+$OK"},
    {"Z2,1000,0", "+$E16"},
    {"Z2,fffffffffffffff,2", "+$OK"},
    {"Z4,ffffffffffffff,2", "+$OK"},
    {"z4,ffffffffffffff,2", "+$OK"},
    {"z2,fffffffffffffff,2", "+$OK"},
    {"z2,1000,8", "+$OK"},
    {"Z5,1000,8", "+$"},
    {"Z0", "+$E16"},
    {"Z", "+$"},
    // vCont that means nothing
    {"vCont", "+$E16"},
    {"vCont;", "+$E16"},
    {"vCont;q", "+$E16"},
    {"vCont;c:p1.44", "+$E16"},
    {"vCont;S", "+$E16"},
    // the monitor
    {"qRcmd,696e666f20737461747573", "+$O696e666f207374617475733f0a$OK"},
    {"qRcmd,6", "+$E16"},
    {"qRcmd,zz", "+$E16"},
    {"qXfer:features:read:other.xml:0,10", "+$E00"},
    {"qXfer:features:read:target.xml:0", "+$E16"},
    {"qXfer:features:read:target.xml:ffffff,10", "+$l"},
    {"qXfer:features:read:target.xml:0,15", "+$m<?xml version=\"1.0\"?>"},
};

Test(gdb, table)
{
    static struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        EXPECT_REPLY(&rig, rows[i].packet, rows[i].reply);
    cr_expect_eq(rig.machine.accel.breaks, 0);
    cr_expect_eq(rig.machine.accel.watches, 0);
    cr_expect_not(rig.machine.running);
    rig_close(&rig);
}

Test(gdb, binary_write)
{
    static struct rig rig;
    rig_open(&rig);
    static const char packet[] = "X1000,6:\x00}\x03}]}\x04}\x0a\xff";
    rig.channel.len = 0;
    send_packet(&rig, packet, sizeof packet - 1);
    cr_expect_str_eq(taken(&rig), "+$OK");
    cr_expect_arr_eq(rig.machine.accel.memory, "\x00#}$*\xff", 6);
    rig_close(&rig);
}

Test(gdb, description)
{
    static struct rig rig;
    static char xml[1 << 16];
    size_t len = 0;
    rig_open(&rig);
    for (const char *part = "$m"; part[1] == 'm'; ) {
        char packet[64];
        snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,100", len);
        part = strchr(ask(&rig, packet), '$');
        for (const char *p = part + 2; *p; p++)
            xml[len++] = *p == '}' ? *++p ^ 0x20 : *p;
        part = part[1] == 'm' ? "$m" : "$l";
    }
    cr_expect(strstr(xml, "<architecture>toy</architecture>"));
    cr_expect(strstr(xml, "<feature name=\"org.gnu.gdb.toy.core\">\n<reg name=\"x0\" bitsize=\"64\" regnum=\"0\""));
    cr_expect(strstr(xml, "<feature name=\"org.gnu.gdb.toy.fpu\">"));
    cr_expect(strstr(xml, "<feature name=\"org.isomer.toy.system\">\n<reg name=\"cell\" bitsize=\"64\" regnum=\"5\""));
    cr_expect(strstr(xml, "</target>"));
    rig_close(&rig);
}

Test(gdb, framing)
{
    static struct rig rig;
    rig_open(&rig);
    rig.channel.len = 0;
    feed(&rig, "$qC#00", 6);
    cr_expect_str_eq(taken(&rig), "-");
    feed(&rig, "garbage $q$qC#b4", 16);
    cr_expect_str_eq(taken(&rig), "+$QC1");
    feed(&rig, "-", 1);
    cr_expect_str_eq(taken(&rig), "$QC1");
    feed(&rig, "$qC#zz", 5);
    cr_expect_str_eq(taken(&rig), "-");
    feed(&rig, "+$qC#B4$qC#b4", 13);
    cr_expect_str_eq(taken(&rig), "+$QC1+$QC1");
    EXPECT_REPLY(&rig, "QStartNoAckMode", "+$OK");
    EXPECT_REPLY(&rig, "qC", "$QC1");
    rig.channel.out[0] = 0;
    feed(&rig, "-$qC#00", 7);
    cr_expect_str_eq(taken(&rig), "");
    rig_close(&rig);
}

Test(gdb, long_packets)
{
    static struct rig rig;
    static char big[GDB_PACKET_MAX + 2];
    rig_open(&rig);
    memset(big, 'a', sizeof big);
    rig.channel.len = 0;
    send_packet(&rig, big, GDB_PACKET_MAX);
    cr_expect_str_eq(taken(&rig), "+$");
    send_packet(&rig, big, GDB_PACKET_MAX + 1);
    cr_expect_str_eq(taken(&rig), "-");
    EXPECT_REPLY(&rig, "qC", "+$QC1");
    cr_expect_eq(strlen(ask(&rig, "m1000,2000")), 2 + 2 * 0x2000);
    rig_close(&rig);
}

#define AT(thread, pc) "thread:" thread ";03:" pc "000000000000;02:0000000000000000;"

Test(gdb, run_and_stop)
{
    static struct rig rig;
    rig_open(&rig);
    ask(&rig, "qSupported:swbreak+;hwbreak+");
    EXPECT_REPLY(&rig, "Z0,1000,4", "+$OK");
    EXPECT_REPLY(&rig, "Z1,1100,4", "+$OK");
    EXPECT_REPLY(&rig, "Z3,2000,4", "+$OK");
    EXPECT_REPLY(&rig, "Z2,2008,8", "+$OK");
    EXPECT_REPLY(&rig, "vCont;s:2;c", "+$T05" AT("2", "0411"));
    EXPECT_REPLY(&rig, "s", "+$T05" AT("2", "0811"));
    EXPECT_REPLY(&rig, "vCont;S05:1", "+$T05" AT("1", "0410"));
    EXPECT_REPLY(&rig, "s1000", "+$T05" AT("1", "0410"));
    EXPECT_REPLY(&rig, "vCont;c", "+");
    cr_assert(rig.machine.running);

    rig.machine.accel.env[0].pc = 0x1000;
    fake_machine_hit(&rig.machine, 0, ACCEL_STOP_BREAKPOINT);
    cr_expect_str_eq(taken(&rig), "$T05" AT("1", "0010") "swbreak:;");
    EXPECT_REPLY(&rig, "C05", "+");
    rig.machine.accel.env[1].pc = 0x1100;
    fake_machine_hit(&rig.machine, 1, ACCEL_STOP_BREAKPOINT);
    cr_expect_str_eq(taken(&rig), "$T05" AT("2", "0011") "hwbreak:;");
    EXPECT_REPLY(&rig, "qC", "+$QC2");

    EXPECT_REPLY(&rig, "c", "+");
    rig.machine.accel.hit_va = 0x2001;
    rig.machine.accel.hit_access = GUEST_READ;
    fake_machine_hit(&rig.machine, 1, ACCEL_STOP_WATCHPOINT);
    cr_expect_str_eq(taken(&rig), "$T05" AT("2", "0011") "rwatch:2001;");
    EXPECT_REPLY(&rig, "c", "+");
    rig.machine.accel.hit_va = 0x2000; // a wide store that begins before the watched bytes
    rig.machine.accel.hit_access = GUEST_WRITE;
    fake_machine_hit(&rig.machine, 1, ACCEL_STOP_WATCHPOINT);
    cr_expect_str_eq(taken(&rig), "$T05" AT("2", "0011") "watch:2008;");
    EXPECT_REPLY(&rig, "?", "+$T05" AT("2", "0011") "watch:2008;");

    EXPECT_REPLY(&rig, "c", "+");
    rig.channel.len = 0;
    feed(&rig, "\3", 1);
    cr_expect_str_eq(taken(&rig), "$T02" AT("2", "0011"));
    cr_expect_not(rig.machine.running);
    rig.channel.out[0] = 0;
    feed(&rig, "\3", 1); // nothing runs: nothing to say
    cr_expect_str_eq(taken(&rig), "");

    EXPECT_REPLY(&rig, "c", "+");
    EXPECT_REPLY(&rig, "g", "+$E01"); // a packet while it runs
    fake_machine_end(&rig.machine, 3);
    cr_expect_str_eq(taken(&rig), "$W03");
    rig_close(&rig);
}

// Which vCPUs a resume lets run: -1 means all.
Test(gdb, who_runs)
{
    static struct rig rig;
    static const struct {
        const char *packet;
        int only;
    } resumes[] = {{"c", -1},           {"vCont;c", -1},       {"vCont;c:-1", -1},      {"vCont;c:2", 1},
                   {"vCont;C05:3", 2},  {"vCont;c:2;c", -1},   {"vCont;c:1;c:2", -1},   {"vCont;c:0", -1},
                   {"vCont;c:2;c:2", 1}};
    rig_open(&rig);
    for (size_t i = 0; i < sizeof resumes / sizeof *resumes; i++) {
        EXPECT_REPLY(&rig, resumes[i].packet, "+");
        cr_expect_eq(rig.machine.accel.only_cpu, resumes[i].only, "%s", resumes[i].packet);
        feed(&rig, "\3", 1);
        cr_expect_not(rig.machine.running);
    }
    rig_close(&rig);
}

Test(gdb, interrupt_at_once)
{
    static struct rig rig;
    rig_open(&rig);
    rig.channel.len = 0;
    feed(&rig, "$c#63\3", 6); // before the machine has begun to run
    cr_expect_str_eq(taken(&rig), "+$T02" AT("1", "0010"));
    cr_expect_not(rig.machine.running);
    rig_close(&rig);
}

Test(gdb, powered_off_cpu)
{
    static struct rig rig;
    rig_open(&rig);
    rig.machine.accel.off[2] = true;
    EXPECT_REPLY(&rig, "vCont;s:3", "+$T05" AT("3", "0012"));
    EXPECT_REPLY(&rig, "qThreadExtraInfo,3", "+$4350552332205b6f66665d");
    rig_close(&rig);
}

Test(gdb, connections)
{
    static struct rig rig;
    rig_open(&rig);
    EXPECT_REPLY(&rig, "Z0,1000,4", "+$OK");
    EXPECT_REPLY(&rig, "D", "+$OK");
    cr_expect(rig.machine.running);
    cr_expect_eq(rig.machine.accel.breaks, 0);

    // A packet to a machine that runs without the debugger's doing: stopped for it and continued.
    EXPECT_REPLY(&rig, "qC", "+$QC1");
    cr_expect(rig.machine.running);
    EXPECT_REPLY(&rig, "qRcmd,73746f70", "+$OK"); // stop
    cr_expect_not(rig.machine.running);
    EXPECT_REPLY(&rig, "qRcmd,636f6e74", "+$OK"); // cont
    cr_expect(rig.machine.running);

    chardev_notify(&rig.channel.chardev, CHARDEV_CLOSED);
    fake_machine_turn(&rig.machine);
    cr_expect(rig.machine.running);
    chardev_notify(&rig.channel.chardev, CHARDEV_OPENED);
    fake_machine_turn(&rig.machine);
    cr_expect_not(rig.machine.running);

    // The debugger dies while the machine runs with its points in: they go, the machine goes on.
    EXPECT_REPLY(&rig, "Z0,1000,4", "+$OK");
    EXPECT_REPLY(&rig, "Z2,1000,4", "+$OK");
    EXPECT_REPLY(&rig, "c", "+");
    chardev_notify(&rig.channel.chardev, CHARDEV_CLOSED);
    fake_machine_turn(&rig.machine);
    cr_expect(rig.machine.running);
    cr_expect_eq(rig.machine.accel.breaks + rig.machine.accel.watches, 0);

    // It is gone before the machine has stopped for it: at once, with a packet on the way, after Ctrl-C.
    static const char *const last_words[] = {"", "$qC#b4", "\x03"};
    for (size_t i = 0; i < ARRAY_SIZE(last_words); i++) {
        chardev_notify(&rig.channel.chardev, CHARDEV_OPENED);
        if (i) {
            fake_machine_turn(&rig.machine);
            EXPECT_REPLY(&rig, i == 1 ? "D" : "c", i == 1 ? "+$OK" : "+");
            chardev_deliver(&rig.channel.chardev, (const uint8_t *)last_words[i], strlen(last_words[i]));
        }
        chardev_notify(&rig.channel.chardev, CHARDEV_CLOSED);
        fake_machine_turn(&rig.machine);
        cr_expect(rig.machine.running, "last words %zu", i);
    }
    // Somebody else takes its place: the stop is for him.
    chardev_notify(&rig.channel.chardev, CHARDEV_OPENED);
    chardev_notify(&rig.channel.chardev, CHARDEV_OPENED);
    fake_machine_turn(&rig.machine);
    cr_expect_not(rig.machine.running);

    EXPECT_REPLY(&rig, "vKill;1", "+$OK");
    cr_expect_eq(rig.machine.quit_status, 0);
    rig_close(&rig);
}

Test(gdb, points_are_bounded)
{
    static struct rig rig;
    rig_open(&rig);
    char packet[32];
    int ok = 0;
    for (int i = 0; i < 600; i++) {
        snprintf(packet, sizeof packet, "Z0,%x,4", 0x1000 + i * 4);
        ok += !strcmp(ask(&rig, packet), "+$OK");
    }
    cr_expect_eq(ok, 512);
    EXPECT_REPLY(&rig, "Z0,8,4", "+$E1c");
    rig_close(&rig);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Random bytes, and random changes to packets that mean something: the stub must neither fall nor fall silent.
Test(gdb, garbage)
{
    static struct rig rig;
    uint64_t seed = 0x9e3779b97f4a7c15;
    static const char *const words[] = {"vCont;c", "vCont;s:p1.1", "m1000,10", "M1000,2:0000", "g", "G00", "p0", "P0=00", "Z0,10,4",
                                        "z0,10,4", "Z2,1000,8", "Hg1", "T1", "qXfer:features:read:target.xml:0,1000", "qRcmd,00",
                                        "qSupported:;;=", "qThreadExtraInfo,1", "X1000,1:}", "D", "c", "s", "\3", "?", "R"};
    rig_open(&rig);
    for (int i = 0; i < 20000; i++) {
        char packet[128];
        uint64_t r = next_random(&seed);
        const char *word = words[r % (sizeof words / sizeof *words)];
        size_t len = strlen(word);
        memcpy(packet, word, len);
        for (unsigned n = r >> 8 & 3; n; n--)
            packet[next_random(&seed) % len] = (char)next_random(&seed);
        if (r >> 16 & 1)
            len = next_random(&seed) % (len + 1);
        if (r >> 17 & 1)
            feed(&rig, packet, len);
        else
            send_packet(&rig, packet, len);
        if (!(r >> 20 & 63) && rig.machine.running)
            fake_machine_hit(&rig.machine, (unsigned)(r >> 32) % FAKE_CPUS, (int)(r >> 40) % 3);
        rig.channel.len = 0;
    }
    chardev_notify(&rig.channel.chardev, CHARDEV_CLOSED);
    fake_machine_turn(&rig.machine);
    chardev_notify(&rig.channel.chardev, CHARDEV_OPENED);
    fake_machine_turn(&rig.machine);
    EXPECT_REPLY(&rig, "qC", "+$QC1");
    rig_close(&rig);
}
