/* Reports of waves for people: HTML that prints well on A4, and CSV with a row for each host. See
 * wave_report.h. */
#include <stdio.h>
#include <string.h>

#include "federation/wave_report.h"
#include "metering/export.h"
#include "metering/paper.h"

static const char style[] =
    "h2{margin:7mm 0 2mm;font-size:12pt;color:#1f4e79;break-after:avoid}"
    "h2 small{display:inline;margin-left:3mm}"
    "h3{margin:5mm 0 1mm;font-size:10.5pt;break-after:avoid}"
    "table{margin-bottom:4mm}"
    ".tag{display:inline-block;padding:0 1.5mm;border-radius:1mm;font-size:8pt;white-space:nowrap;color:#fff;"
    "-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    ".failed{background:#a4262c}.waiting,.out{background:#48657e}.running{background:#a86400}.done{"
    "background:#"
    "2e6b3f}"
    ".unfinished{border:0.4mm solid #a4262c;color:#a4262c;padding:2mm 3mm;font-weight:bold}"
    ".digest{font:8pt/1.6 ui-monospace,\"DejaVu Sans Mono\",monospace;color:#5b6b7b;overflow-wrap:anywhere}";

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static const char *word_zh(const char *word)
{
    static const char *const words[][2] = {{"waiting", "等待"},   {"running", "迁移中"},
                                           {"done", "已迁移"},    {"failed", "未成功"},
                                           {"out", "已移出"},     {"draft", "草稿"},
                                           {"paused", "已暂停"},  {"cancelled", "已取消"},
                                           {"live", "在线迁移"},  {"mobility", "分区迁移"},
                                           {"warm", "温迁移"},    {"cold", "冷迁移"},
                                           {"full", "全量比对"},  {"sampled", "抽样比对"},
                                           {"unit", "使用单位"},  {"platform", "平台"},
                                           {"automatic", "自动"}, {"manual", "人工"},
                                           {"migration", "免费"}, {"standard", "计费"},
                                           {"none", "无需审批"},  {"unit+platform", "使用单位和平台"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i][0]))
            return words[i][1];
    return word;
}

/* "2026-11-24 11:04:05" of Asia/Shanghai; "" for none. */
static void shanghai(const char *text, char at[20])
{
    moment value;
    struct error *error = *text ? moment_parse(text, &value) : NULL;
    at[0] = '\0';
    if (*text && !error)
        moment_format_shanghai(value, at);
    error_free(error);
}

static void put_fact_time(struct buf *buf, const char *name, const char *text)
{
    char at[20];
    shanghai(text, at);
    if (*at)
        paper_fact(buf, name, at);
}

/* "1.23 GB" */
static void put_bytes(struct buf *buf, int64_t bytes)
{
    buf_printf(buf, "%lld.%02lld GB", (long long)(bytes / 1000000000),
               (long long)(bytes % 1000000000 / 10000000));
}

static void put_seconds(struct buf *buf, int64_t ms)
{
    buf_printf(buf, "%lld.%lld 秒", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
}

static void put_fact_bytes(struct buf *buf, const char *name, int64_t bytes)
{
    BUF_AUTO struct buf text = BUF_INIT(64);
    put_bytes(&text, bytes);
    paper_fact(buf, name, buf_text(&text));
}

static void put_fact_seconds(struct buf *buf, const char *name, const json_t *json, const char *member)
{
    BUF_AUTO struct buf text = BUF_INIT(64);
    if (!json_object_get(json, member))
        return;
    put_seconds(&text, number_of(json, member));
    paper_fact(buf, name, buf_text(&text));
}

static void put_row(struct buf *buf, const json_t *host)
{
    const json_t *move = json_object_get(host, "move"), *downtime = json_object_get(move, "downtime");
    const char *state = text_of(host, "state");
    char at[20];
    paper_element(buf, "<tr><td>", text_of(host, "name"), "</td>");
    paper_element(buf, "<td><span class=\"tag ", state, "\">");
    paper_element(buf, "", word_zh(state), "</span></td>");
    paper_element(buf, "<td>", word_zh(text_of(move, "method")), "</td>");
    shanghai(text_of(move, "started_at"), at);
    paper_element(buf, "<td>", at, "</td>");
    shanghai(text_of(move, "live_at"), at);
    paper_element(buf, "<td>", at, "</td><td class=\"n\">");
    put_bytes(buf, number_of(host, "bytes"));
    buf_puts(buf, "</td><td class=\"n\">");
    if (json_object_get(downtime, "measured_ms"))
        put_seconds(buf, number_of(downtime, "measured_ms"));
    buf_puts(buf, "</td></tr>\n");
}

static void put_people(struct buf *buf, const json_t *move)
{
    const json_t *consent = json_object_get(move, "consent"), *approval;
    size_t i;
    if (consent) {
        paper_element(buf, "<dt>同意书</dt><dd>", text_of(consent, "reference"), " · ");
        paper_element(buf, "", text_of(consent, "signer"), "</dd>\n");
    }
    json_array_foreach (json_object_get(move, "approvals"), i, approval) {
        char at[20];
        shanghai(text_of(approval, "at"), at);
        paper_element(buf, "<dt>审批（", word_zh(text_of(approval, "part")), "）</dt>");
        paper_element(buf, "<dd>", text_of(approval, "principal"), " · ");
        paper_element(buf, "", at, "</dd>\n");
    }
    if (json_object_get(move, "accepted_by"))
        paper_fact(buf, "业务验证", text_of(move, "accepted_by"));
}

static void put_proof(struct buf *buf, const json_t *move)
{
    const json_t *proof = json_object_get(move, "verification"), *disk;
    size_t i;
    paper_fact(buf, "数据验证", word_zh(text_of(proof, "proof")));
    put_fact_time(buf, "验证通过", text_of(proof, "proved_at"));
    put_fact_time(buf, "启动检查通过", text_of(proof, "healthy_at"));
    json_array_foreach (json_object_get(proof, "disks"), i, disk) {
        paper_element(buf, "<dt>磁盘 ", text_of(disk, "disk"), "</dt>");
        paper_element(buf, "<dd class=\"digest\">", text_of(disk, "digest"), "</dd>\n");
    }
}

/* What existed twice and was metered: free, or charged by agreement. */
static void put_overlap(struct buf *buf, const json_t *move)
{
    const json_t *overlap = json_object_get(move, "overlap"), *use;
    bool charged = false;
    size_t i;
    json_array_foreach (overlap, i, use)
        charged = charged || strcmp(text_of(use, "tariff"), "migration") != 0;
    if (json_array_size(overlap))
        paper_fact(buf, "双份资源", charged ? "按协议计费，见账单" : "免费");
}

static void put_host(struct buf *buf, const json_t *host)
{
    const json_t *move = json_object_get(host, "move"), *month = json_object_get(host, "month"),
                 *from = json_object_get(host, "from"), *to = json_object_get(host, "to"),
                 *downtime = json_object_get(move, "downtime");
    paper_element(buf, "<section><h3>", text_of(host, "name"), "");
    paper_element(buf, " <small>", text_of(host, "instance"), "</small></h3>\n<dl>");
    paper_element(buf, "<dt>源</dt><dd>", text_of(from, "cloud"), " · ");
    paper_element(buf, "", text_of(from, "site"), "</dd>\n");
    paper_element(buf, "<dt>目标</dt><dd>", text_of(to, "cloud"), " · ");
    paper_element(buf, "", text_of(to, "site"), "</dd>\n");
    if (*text_of(host, "reason"))
        paper_fact(buf, "原因", text_of(host, "reason"));
    if (move) {
        paper_fact(buf, "迁移编号", text_of(move, "id"));
        if (number_of(move, "read_bytes")) {
            put_fact_bytes(buf, "读取", number_of(move, "read_bytes"));
            put_fact_bytes(buf, "写入", number_of(move, "written_bytes"));
        }
        put_fact_seconds(buf, "评估停机", downtime, "assessed_ms");
        put_fact_seconds(buf, "预计停机", downtime, "predicted_ms");
        put_fact_seconds(buf, "实测停机", downtime, "measured_ms");
        if (number_of(downtime, "agreed_seconds")) {
            BUF_AUTO struct buf agreed = BUF_INIT(64);
            put_seconds(&agreed, number_of(downtime, "agreed_seconds") * 1000);
            paper_fact(buf, "约定停机", buf_text(&agreed));
        }
        put_proof(buf, move);
        put_people(buf, move);
        put_overlap(buf, move);
    }
    paper_fact(buf, "现月费（元）", text_of(month, "before_yuan"));
    paper_fact(buf, "迁后月费（元）", text_of(month, "after_yuan"));
    buf_puts(buf, "</dl></section>\n");
}

/* Late by now, or by the forecast. Moments in the JSON have one form, which sorts. */
static const char *pace_zh(const json_t *report, const json_t *pace)
{
    if (!json_is_true(json_object_get(pace, "late")))
        return "符合要求";
    return strcmp(text_of(report, "made_at"), text_of(pace, "late_at")) < 0 ? "预计逾期" : "逾期";
}

static void put_system(struct buf *buf, const json_t *report, const json_t *system)
{
    const json_t *hosts = json_object_get(system, "hosts"), *host, *pace = json_object_get(system, "pace");
    size_t i;
    paper_element(buf, "<h2>", *text_of(system, "name") ? text_of(system, "name") : text_of(system, "system"),
                  "");
    paper_element(buf, "<small>", text_of(system, "system"), "</small></h2>\n<dl>");
    put_fact_time(buf, "合同期限", text_of(pace, "due_at"));
    put_fact_time(buf, "预计完成", text_of(pace, "forecast_at"));
    if (pace)
        paper_fact(buf, "进度", pace_zh(report, pace));
    buf_puts(buf, "</dl><table><thead><tr><th>云主机</th><th>结果</th><th>方式</th><th>开始</th><th>上线</th>"
                  "<th class=\"n\">数据量</th><th class=\"n\">实测停机</th></tr></thead><tbody>\n");
    json_array_foreach (hosts, i, host)
        put_row(buf, host);
    buf_puts(buf, "</tbody></table>\n");
    json_array_foreach (hosts, i, host)
        put_host(buf, host);
}

void wave_report_html(const json_t *report, struct buf *buf)
{
    const json_t *sums = json_object_get(report, "sums"), *system;
    size_t i;
    paper_begin(buf, &(struct paper){.title = text_of(report, "name"),
                                     .heading = "迁移批次报告",
                                     .tagline = "多云迁移",
                                     .style = style});
    if (!json_is_true(json_object_get(report, "finished")))
        buf_puts(buf, "<p class=\"unfinished\">本批次尚未结束，本报告为中间结果。</p>\n");
    buf_puts(buf, "<dl>");
    paper_fact(buf, "批次", text_of(report, "name"));
    paper_fact(buf, "批次编号", text_of(report, "wave"));
    if (*text_of(report, "programme"))
        paper_fact(buf, "项目", text_of(report, "programme"));
    paper_fact(buf, "使用单位", text_of(report, "unit"));
    paper_fact(buf, "状态", word_zh(text_of(report, "state")));
    paper_fact(buf, "切换方式", word_zh(text_of(report, "cutover")));
    put_fact_time(buf, "开始", text_of(report, "started_at"));
    put_fact_time(buf, "结束", text_of(report, "ended_at"));
    put_fact_bytes(buf, "数据量", number_of(sums, "bytes"));
    if (number_of(sums, "longest_downtime_ms"))
        put_fact_seconds(buf, "最长停机", sums, "longest_downtime_ms");
    buf_printf(buf,
               "<dt>云主机</dt><dd>已迁移 %lld，迁移中 %lld，等待 %lld，未成功 %lld，移出 %lld</dd>\n</dl>\n",
               (long long)number_of(sums, "done"), (long long)number_of(sums, "running"),
               (long long)number_of(sums, "waiting"), (long long)number_of(sums, "failed"),
               (long long)number_of(sums, "out"));
    json_array_foreach (json_object_get(report, "systems"), i, system)
        put_system(buf, report, system);
    paper_element(buf, "<p class=\"digest\">SM3 ", text_of(report, "digest_sm3"), "</p>\n");
    paper_end(buf, "摘要覆盖报告全部内容（出具时间除外），可据 JSON 格式自行复算。");
}

/* ------------------------------------------------------------------------------------------------------- CSV
 */

static void put_cells(struct buf *buf, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(buf, ',');
        export_text(buf, cells[i]);
    }
}

static void put_number(struct buf *buf, const json_t *json, const char *member)
{
    buf_putc(buf, ',');
    if (json_object_get(json, member))
        buf_printf(buf, "%lld", (long long)number_of(json, member));
}

static void put_line(struct buf *buf, const json_t *report, const char *system, const json_t *host)
{
    const json_t *move = json_object_get(host, "move"), *downtime = json_object_get(move, "downtime"),
                 *proof = json_object_get(move, "verification"), *month = json_object_get(host, "month");
    const char *const lead[] = {text_of(report, "wave"),
                                json_is_true(json_object_get(report, "finished")) ? "yes" : "no",
                                system,
                                text_of(host, "instance"),
                                text_of(host, "name"),
                                text_of(host, "state"),
                                text_of(json_object_get(host, "from"), "cloud"),
                                text_of(json_object_get(host, "to"), "cloud"),
                                text_of(move, "id"),
                                text_of(move, "state"),
                                text_of(move, "method"),
                                text_of(move, "started_at"),
                                text_of(move, "live_at")};
    const char *const tail[] = {
        text_of(proof, "proof"),       text_of(proof, "proved_at"),
        text_of(move, "accepted_by"),  text_of(json_object_get(move, "consent"), "reference"),
        text_of(month, "before_yuan"), text_of(month, "after_yuan"),
        text_of(host, "reason")};
    put_cells(buf, lead, sizeof lead / sizeof *lead);
    put_number(buf, host, "bytes");
    put_number(buf, move, "passes");
    put_number(buf, move, "read_bytes");
    put_number(buf, move, "written_bytes");
    put_number(buf, downtime, "assessed_ms");
    put_number(buf, downtime, "predicted_ms");
    put_number(buf, downtime, "agreed_seconds");
    put_number(buf, downtime, "measured_ms");
    buf_putc(buf, ',');
    put_cells(buf, tail, sizeof tail / sizeof *tail);
    buf_puts(buf, "\r\n");
}

void wave_report_csv(const json_t *report, struct buf *buf)
{
    static const char header[] =
        "wave,finished,system,instance,name,state,from_cloud,to_cloud,migration,migration_state,method,"
        "started_at,"
        "live_at,bytes,passes,read_bytes,written_bytes,downtime_assessed_ms,downtime_predicted_ms,"
        "downtime_agreed_seconds,downtime_measured_ms,proof,proved_at,accepted_by,consent,month_before_yuan,"
        "month_after_yuan,reason\r\n";
    const json_t *system, *host;
    size_t i, k;
    buf_puts(buf, header);
    json_array_foreach (json_object_get(report, "systems"), i, system)
        json_array_foreach (json_object_get(system, "hosts"), k, host)
            put_line(buf, report, text_of(system, "system"), host);
}
