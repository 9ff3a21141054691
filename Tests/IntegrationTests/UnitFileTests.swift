import Foundation
import Testing

/// The units of deploy, as systemd reads them.
@Suite struct UnitFiles {
  private static let deploy = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("deploy").path
  private static let names = ["cdcd.service", "cdcd@.service"]

  private static func text(_ name: String) throws -> String {
    try String(contentsOfFile: "\(deploy)/\(name)", encoding: .utf8)
  }

  /// A copy whose program exists on this machine.
  private func installed(_ name: String, as copy: String, in folder: TemporaryFolder) throws -> String {
    try folder.write(
      Self.text(name).replacingOccurrences(of: "/usr/bin/cdcd", with: CDCDProcess.binary), to: copy)
  }

  @Test("systemd understands every line", arguments: zip(names, ["cdcd.service", "cdcd@orders.service"]))
  func verify(name: String, copy: String) throws {
    let folder = try TemporaryFolder()
    let unit = try installed(name, as: copy, in: folder)
    let result = try CommandResult.of(
      ["/usr/bin/systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit], in: folder)
    #expect(result.status == 0)
    #expect(result.output == "")
  }

  @Test(
    "systemd rates the exposure 1.5 or less", arguments: zip(names, ["cdcd.service", "cdcd@orders.service"]))
  func security(name: String, copy: String) throws {
    let folder = try TemporaryFolder()
    let unit = try installed(name, as: copy, in: folder)
    let result = try CommandResult.of(
      ["/usr/bin/systemd-analyze", "security", "--offline=true", "--threshold=15", unit], in: folder)
    #expect(result.status == 0, "\(result.output.split(separator: "\n").filter { $0.hasPrefix("✗") })")
    #expect(result.output.contains("Overall exposure level for \(copy)"), "\(result.output)")
  }

  @Test("an instance differs from the single service in its names, and in nothing else")
  func instance() throws {
    func settings(_ name: String) throws -> [Substring] {
      try Self.text(name).split(separator: "\n").filter { !$0.hasPrefix("#") }
    }
    let differing = zip(try settings("cdcd.service"), try settings("cdcd@.service")).filter { $0 != $1 }
    #expect(try settings("cdcd.service").count == settings("cdcd@.service").count)
    #expect(
      differing.map { $1.prefix { $0 != "=" } } == [
        "Description", "ConditionPathExists", "ExecStart", "EnvironmentFile", "RuntimeDirectory",
      ])
    #expect(differing.allSatisfy { $1.contains("%i") })
  }
}
