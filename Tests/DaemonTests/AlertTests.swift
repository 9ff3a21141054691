import Foundation
import Testing
import Yams

/// `deploy/prometheus`, without a Prometheus: what its own tools say is a slow check.
@Suite struct AlertTests {
  private struct RuleFile: Decodable {
    struct Group: Decodable { var rules: [Alert] }
    struct Alert: Decodable {
      var alert: String
      var expr: String
      var labels: [String: String]
      var annotations: [String: String]
    }
    var groups: [Group]
  }

  private struct TestFile: Decodable {
    struct Test: Decodable { var alert_rule_test: [Expectation] }
    struct Expectation: Decodable {
      struct Alert: Decodable {}
      var alertname: String
      var exp_alerts: [Alert]
    }
    var tests: [Test]
  }

  private static func alerts() throws -> [RuleFile.Alert] {
    try YAMLDecoder().decode(RuleFile.self, from: Repository.text("deploy/prometheus/cdcd.rules.yml")).groups
      .flatMap(\.rules)
  }

  @Test func seriesOfAQueryAreFound() {
    let query = PrometheusQuery(
      """
      histogram_quantile(0.99, sum by (le, job) (rate(some_bucket{a="cdcd_no",b=~"x|y"}[5m]))) > 1e9
        or 2 * other unless on (job, instance) up{job="cdcd"} == bool 1
      """)
    #expect(query.series == ["some_bucket", "other", "up"])
    #expect(query.unknownSeries == ["some_bucket", "other"])
  }

  @Test func everyAlertAsksForWhatCdcdTells() throws {
    let alerts = try Self.alerts()
    #expect(alerts.count > 10)
    #expect(Set(alerts.map(\.alert)).count == alerts.count)
    for alert in alerts {
      let query = PrometheusQuery(alert.expr)
      #expect(!query.series.isEmpty, "\(alert.alert)")
      #expect(query.unknownSeries.isEmpty, "\(alert.alert): \(query.unknownSeries)")
    }
  }

  @Test func everyAlertSaysWhatItIsAndWhereHelpIs() throws {
    let headings = try Repository.text("deploy/README.md").split(separator: "\n").filter {
      $0.hasPrefix("### ")
    }
    for alert in try Self.alerts() {
      #expect(["critical", "warning"].contains(alert.labels["severity"]), "\(alert.alert)")
      #expect(Set(alert.annotations.keys) == ["summary", "description", "runbook_url"], "\(alert.alert)")
      #expect(headings.contains("### \(alert.alert)"), "\(alert.alert) is not in the runbook")
      let anchor = "deploy/README.md#" + alert.alert.lowercased()
      #expect(alert.annotations["runbook_url"] == anchor, "\(alert.alert)")
    }
  }

  @Test func everyAlertIsTestedToFireAndToBeSilent() throws {
    let file = try YAMLDecoder().decode(
      TestFile.self, from: Repository.text("deploy/prometheus/cdcd.rules.test.yml"))
    let expectations = file.tests.flatMap(\.alert_rule_test)
    for alert in try Self.alerts() {
      let own = expectations.filter { $0.alertname == alert.alert }
      #expect(own.contains { $0.exp_alerts.isEmpty }, "\(alert.alert) is never silent")
      #expect(own.contains { !$0.exp_alerts.isEmpty }, "\(alert.alert) never fires")
    }
  }
}
