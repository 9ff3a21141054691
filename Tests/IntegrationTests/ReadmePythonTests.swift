import Foundation
import Testing

extension RealServers {
  /// README's Python, as a reader of README would paste it.
  @Suite struct ReadmePython {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().path

    @Test("the Python of README's section on readers keeps the promise, run verbatim")
    func readers() throws {
      let installation = try Installation()
      // Made by Tests/run before; where it is not there yet, pip needs its time.
      let python = try CommandResult.of(
        ["\(Self.tests)/python-environment"], in: installation.folder, within: .seconds(240))
      try #require(python.status == 0, "\(python.output)")
      let path = try #require(python.output.split(separator: "\n").last).trimmingCharacters(in: .whitespaces)
      let result = try CommandResult.of(
        [path, "\(Self.tests)/Readme/readers.py"], in: installation.folder,
        environment: [
          "REDIS_URL": installation.redis.url, "POSTGRES_URL": installation.postgres.url,
          "CDCD_URL": "http://127.0.0.1:\(try installation.cdcd.httpPort)",
        ])
      #expect(result.status == 0, "\(result.output)")
      #expect(
        result.output.split(separator: "\n").count { $0.hasPrefix("passed ") } == 10, "\(result.output)")
    }
  }
}
