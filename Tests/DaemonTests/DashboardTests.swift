import Foundation
import Testing

/// `deploy/grafana/cdcd.json`, in the form of Grafana's JSON model.
@Suite struct DashboardTests {
  private struct Dashboard: Decodable {
    struct Target: Decodable {
      var expr: String
      var refId: String
      var datasource: DataSource
    }
    struct DataSource: Decodable { var uid: String }
    struct Position: Decodable { var h, w, x, y: Int }
    struct FieldConfiguration: Decodable {
      struct Defaults: Decodable { var unit: String? }
      var defaults: Defaults
    }
    struct Panel: Decodable {
      var id: Int
      var type: String
      var title: String
      var description: String?
      var gridPos: Position
      var fieldConfig: FieldConfiguration?
      var targets: [Target]?

      func overlaps(_ other: Panel) -> Bool {
        let (a, b) = (gridPos, other.gridPos)
        return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
      }
    }
    struct Variable: Decodable { var name: String }
    struct Annotation: Decodable { var expr: String }
    struct Variables: Decodable { var list: [Variable] }
    struct Annotations: Decodable { var list: [Annotation] }

    var panels: [Panel]
    var templating: Variables
    var annotations: Annotations
    var schemaVersion: Int

    var queries: [PrometheusQuery] {
      (panels.flatMap { $0.targets ?? [] }.map(\.expr) + annotations.list.map(\.expr)).map(
        PrometheusQuery.init)
    }
  }

  private static func dashboard() throws -> Dashboard {
    try JSONDecoder().decode(Dashboard.self, from: Data(Repository.text("deploy/grafana/cdcd.json").utf8))
  }

  @Test func everyQueryNamesWhatCdcdTells() throws {
    let dashboard = try Self.dashboard()
    let variables = Set(dashboard.templating.list.map(\.name))
    #expect(variables == ["datasource", "instance"])
    #expect(dashboard.queries.count > 30)
    for query in dashboard.queries {
      #expect(!query.series.isEmpty, "\(query)")
      #expect(query.unknownSeries.isEmpty, "\(query): \(query.unknownSeries)")
      #expect(query.description.contains("instance=~\"$instance\""), "\(query)")
      for variable in query.description.matches(of: /\$(\w+)/).map({ String($0.output.1) }) {
        #expect(variables.contains(variable) || variable == "__rate_interval", "\(query): $\(variable)")
      }
    }
  }

  @Test func everyPanelSaysWhatItShows() throws {
    for panel in try Self.dashboard().panels {
      #expect(!panel.title.isEmpty, "panel \(panel.id)")
      guard panel.type != "row" else { continue }
      #expect(panel.fieldConfig?.defaults.unit?.isEmpty == false, "\(panel.title)")
      #expect(panel.description?.hasSuffix(".") == true, "\(panel.title)")
      let targets = panel.targets ?? []
      #expect(!targets.isEmpty, "\(panel.title)")
      #expect(Set(targets.map(\.refId)).count == targets.count, "\(panel.title)")
      #expect(targets.allSatisfy { $0.datasource.uid == "${datasource}" }, "\(panel.title)")
    }
  }

  @Test func noPanelStandsOnAnother() throws {
    let panels = try Self.dashboard().panels
    #expect(Set(panels.map(\.id)).count == panels.count)
    for (index, panel) in panels.enumerated() {
      let place = panel.gridPos
      #expect(place.x >= 0 && place.w > 0 && place.h > 0 && place.x + place.w <= 24, "\(panel.title)")
      for other in panels[(index + 1)...] {
        #expect(!panel.overlaps(other), "\(panel.title) and \(other.title)")
      }
    }
  }
}
