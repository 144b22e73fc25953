/* See assess_paper.h. */
#include "federation/assess_paper.h"

#include <string.h>

#include "metering/export.h"
#include "metering/paper.h"

static const char style[] =
    "h2{margin:7mm 0 2mm;font-size:12pt;color:#1f4e79;break-after:avoid}"
    "h2 small{display:inline;margin-left:3mm}"
    "section{break-inside:auto}"
    "table{margin-bottom:4mm}"
    ".tag{display:inline-block;padding:0 1.5mm;border-radius:1mm;font-size:8pt;white-space:nowrap;color:#fff;"
    "-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    ".blocker{background:#a4262c}.warning{background:#a86400}.info{background:#48657e}.good{background:#"
    "2e6b3f}"
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

static const char *severity_zh(const char *severity)
{
    return !strcmp(severity, "blocker") ? "阻断" : !strcmp(severity, "warning") ? "警告" : "提示";
}

static const char *method_zh(const char *method)
{
    static const char *const names[][2] = {
        {"live", "在线迁移"}, {"mobility", "分区迁移"}, {"warm", "温迁移"}, {"cold", "冷迁移"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(method, names[i][0]))
            return names[i][1];
    return method;
}

/* "2 小时 05 分", "3.2 秒". */
static void put_time(struct buf *buf, int64_t ms)
{
    int64_t seconds = ms / 1000;
    if (seconds >= 3600)
        buf_printf(buf, "%lld 小时 %02lld 分", (long long)(seconds / 3600), (long long)(seconds / 60 % 60));
    else if (seconds >= 60)
        buf_printf(buf, "%lld 分 %02lld 秒", (long long)(seconds / 60), (long long)(seconds % 60));
    else
        buf_printf(buf, "%lld.%lld 秒", (long long)seconds, (long long)(ms % 1000 / 100));
}

static void put_verdict(struct buf *buf, const json_t *report)
{
    if (json_is_true(json_object_get(report, "movable")))
        paper_element(buf, "<span class=\"tag good\">可迁移</span> ", method_zh(text_of(report, "preferred")),
                      "");
    else
        buf_puts(buf, "<span class=\"tag blocker\">不可迁移</span>");
}

static void put_row(struct buf *buf, const struct assessment_host *host)
{
    const json_t *report = host->report, *month = json_object_get(report, "month");
    buf_printf(buf, "<tr><td class=\"n\">%lld</td>", (long long)host->number);
    paper_element(buf, "<td>", text_of(report, "name"), "");
    paper_element(buf, "<small>", host->system, "</small></td><td>");
    put_verdict(buf, report);
    buf_printf(buf, "</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td>",
               (long long)number_of(report, "blockers"), (long long)number_of(report, "warnings"),
               (long long)(number_of(report, "disk_bytes") >> 30));
    paper_element(buf, "<td class=\"n\">", text_of(month, "before_yuan"), "</td>");
    paper_element(buf, "<td class=\"n\">", text_of(month, "after_yuan"), "</td></tr>\n");
}

static void put_methods(struct buf *buf, const json_t *report)
{
    const json_t *methods = json_object_get(report, "methods"), *method;
    size_t i;
    buf_puts(buf, "<table><thead><tr><th>方式</th><th>可行</th><th class=\"n\">预计复制</th>"
                  "<th class=\"n\">预计停机</th><th>不可行原因</th></tr></thead><tbody>\n");
    json_array_foreach (methods, i, method) {
        bool possible = json_is_true(json_object_get(method, "possible"));
        paper_element(buf, "<tr><td>", method_zh(text_of(method, "method")),
                      possible ? "</td><td>是" : "</td><td>否");
        buf_puts(buf, "</td><td class=\"n\">");
        if (possible)
            put_time(buf, number_of(method, "copy_seconds") * 1000);
        buf_puts(buf, "</td><td class=\"n\">");
        if (possible)
            put_time(buf, number_of(method, "downtime_ms"));
        paper_element(buf, "</td><td>", text_of(method, "reason"), "</td></tr>\n");
    }
    buf_puts(buf, "</tbody></table>\n");
}

static void put_findings(struct buf *buf, const json_t *report)
{
    const json_t *findings = json_object_get(report, "findings"), *finding;
    size_t i;
    buf_puts(buf, "<table><thead><tr><th>级别</th><th>发现</th><th>对象</th><th>依据</th><th>处置</th>"
                  "<th>条款</th></tr></thead><tbody>\n");
    json_array_foreach (findings, i, finding) {
        const char *severity = text_of(finding, "severity"), *id = text_of(finding, "id");
        const struct assess_rule_text *rule = assess_rule_find(id);
        paper_element(buf, "<tr><td><span class=\"tag ", severity, "\">");
        paper_element(buf, "", severity_zh(severity), "</span></td>");
        paper_element(buf, "<td>", rule ? rule->title_zh : text_of(finding, "title"), "");
        paper_element(buf, "<small>", id, "</small></td>");
        paper_element(buf, "<td>", text_of(finding, "subject"), "</td>");
        paper_element(buf, "<td>", text_of(finding, "evidence"), "</td>");
        paper_element(buf, "<td>", rule ? rule->remedy_zh : text_of(finding, "remedy"), "</td>");
        paper_element(buf, "<td>", text_of(finding, "clause"), "</td></tr>\n");
    }
    buf_puts(buf, "</tbody></table>\n");
}

static void put_assumptions(struct buf *buf, const json_t *report)
{
    const json_t *assumed = json_object_get(report, "assumptions");
    buf_printf(buf,
               "<p><small>估算依据：复制速度 %lld MB/s（%s），变更速度 %lld KB/s（%s），停机固定开销 %lld "
               "秒，目标端全盘回读校验 %lld 秒。"
               "</small></p>\n",
               (long long)(number_of(assumed, "rate_bytes_per_second") / 1000000),
               json_is_true(json_object_get(assumed, "bandwidth_told")) ? "按申报带宽" : "按磁盘速度假定",
               (long long)(number_of(assumed, "change_bytes_per_second") / 1000),
               json_is_true(json_object_get(assumed, "change_told")) ? "申报" : "按每小时 1% 假定",
               (long long)number_of(assumed, "fixed_downtime_seconds"),
               (long long)number_of(assumed, "proof_seconds")); /* 0 in reports from before it was counted */
}

static void put_host(struct buf *buf, const struct assessment_host *host)
{
    const json_t *report = host->report, *from = json_object_get(report, "from"),
                 *to = json_object_get(report, "to");
    buf_printf(buf, "<section><h2>%lld. ", (long long)host->number);
    paper_element(buf, "", text_of(report, "name"), "");
    paper_element(buf, "<small>", text_of(report, "instance"), "</small></h2>\n<dl>");
    paper_fact(buf, "系统", host->system);
    paper_fact(buf, "架构", text_of(report, "architecture"));
    paper_element(buf, "<dt>源</dt><dd>", text_of(from, "cloud"), " · ");
    paper_element(buf, "", text_of(from, "zone"), " · ");
    paper_element(buf, "", text_of(from, "driver"), "</dd>\n");
    paper_element(buf, "<dt>目标</dt><dd>", text_of(to, "cloud"), " · ");
    paper_element(buf, "", text_of(to, "zone"), " · ");
    paper_element(buf, "", text_of(to, "driver"), "</dd>\n</dl>\n");
    put_methods(buf, report);
    put_findings(buf, report);
    put_assumptions(buf, report);
    paper_element(buf, "<p class=\"digest\">SM3 ", host->digest, "</p></section>\n");
}

void assess_html(const struct assessment *assessment, const struct assessment_host *hosts, size_t count,
                 struct buf *buf)
{
    char created[20];
    moment_format_shanghai(assessment->created_at, created);
    paper_begin(buf, &(struct paper){.title = assessment->id,
                                     .heading = "迁移评估报告",
                                     .tagline = "多云迁移评估",
                                     .style = style});
    buf_puts(buf, "<dl>");
    paper_fact(buf, "评估编号", assessment->id);
    paper_fact(buf, "使用单位", assessment->unit);
    paper_fact(buf, "目标云", assessment->to_cloud);
    paper_fact(buf, "目标区域", assessment->to_zone);
    paper_fact(buf, "申请时间", created);
    paper_fact(buf, "申请人", assessment->principal);
    buf_puts(buf,
             "</dl>\n<table><thead><tr><th class=\"n\">序</th><th>云主机</th><th>结论</th>"
             "<th class=\"n\">阻断</th><th class=\"n\">警告</th><th class=\"n\">磁盘 GB</th>"
             "<th class=\"n\">现月费（元）</th><th class=\"n\">迁后月费（元）</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < count; i++)
        put_row(buf, &hosts[i]);
    buf_puts(buf, "</tbody></table>\n");
    for (size_t i = 0; i < count; i++)
        put_host(buf, &hosts[i]);
    paper_end(buf, "结论依据评估时两端平台的应答；摘要覆盖报告与应答，可据存档自行复算。");
}

static void put_cells(struct buf *buf, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(buf, ',');
        export_text(buf, cells[i]);
    }
    buf_puts(buf, "\r\n");
}

static void put_lead(struct buf *buf, const struct assessment *assessment, const struct assessment_host *host)
{
    const json_t *report = host->report;
    const char *const cells[] = {text_of(report, "instance"),
                                 text_of(report, "name"),
                                 text_of(report, "unit"),
                                 host->system,
                                 host->cloud,
                                 assessment->to_cloud,
                                 assessment->to_zone};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        export_text(buf, cells[i]);
        buf_putc(buf, ',');
    }
}

void assess_csv(const struct assessment *assessment, const struct assessment_host *hosts, size_t count,
                struct buf *buf)
{
    static const char *const header[] = {"instance", "name",    "unit",     "system",       "from_cloud",
                                         "to_cloud", "to_zone", "severity", "id",           "subject",
                                         "evidence", "remedy",  "clause",   "copy_seconds", "downtime_ms"};
    put_cells(buf, header, sizeof header / sizeof *header);
    for (size_t i = 0; i < count; i++) {
        const json_t *finding, *method;
        size_t k;
        json_array_foreach (json_object_get(hosts[i].report, "findings"), k, finding) {
            const char *const cells[] = {text_of(finding, "severity"),
                                         text_of(finding, "id"),
                                         text_of(finding, "subject"),
                                         text_of(finding, "evidence"),
                                         text_of(finding, "remedy"),
                                         text_of(finding, "clause"),
                                         "",
                                         ""};
            put_lead(buf, assessment, &hosts[i]);
            put_cells(buf, cells, sizeof cells / sizeof *cells);
        }
        json_array_foreach (json_object_get(hosts[i].report, "methods"), k, method) {
            bool possible = json_is_true(json_object_get(method, "possible"));
            put_lead(buf, assessment, &hosts[i]);
            buf_puts(buf, possible ? "possible,method," : "impossible,method,");
            export_text(buf, text_of(method, "method"));
            buf_putc(buf, ',');
            export_text(buf, text_of(method, "reason"));
            buf_puts(buf, ",,,");
            if (possible)
                buf_printf(buf, "%lld,%lld", (long long)number_of(method, "copy_seconds"),
                           (long long)number_of(method, "downtime_ms"));
            else
                buf_putc(buf, ',');
            buf_puts(buf, "\r\n");
        }
    }
}
