import Foundation
import Testing

/// The manual pages in `deploy/man` know everything that the program knows. No server is started.
@Suite struct Manual {
  private struct Help: Decodable {
    struct Command: Decodable {
      struct Argument: Decodable {
        struct Name: Decodable {
          let kind: String
          let name: String
        }

        let names: [Name]?
        let shouldDisplay: Bool
      }

      let commandName: String
      let arguments: [Argument]?
      let subcommands: [Command]?
    }

    let command: Command
  }

  private static func page(_ name: String) throws -> [Substring] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("deploy/man/\(name)"), encoding: .utf8)
    return text.split(separator: "\n")
  }

  @Test("cdcd(1) has every command and every option")
  func commands() throws {
    let folder = try TemporaryFolder()
    let dump = try CommandResult.of([CDCDProcess.binary, "--experimental-dump-help"], in: folder)
    let help = try JSONDecoder().decode(Help.self, from: Data(dump.output.utf8))
    let items = try Self.page("cdcd.1").filter { $0.hasPrefix(".It ") }
    let commands = (help.command.subcommands ?? []).filter { $0.commandName != "help" }
    #expect(commands.count >= 8)
    for command in commands {
      #expect(items.contains(".It Cm \(command.commandName)"), "the command \(command.commandName)")
    }
    let names = ([help.command] + commands).flatMap { $0.arguments ?? [] }.filter(\.shouldDisplay)
      .flatMap { $0.names ?? [] }
    #expect(names.count > 20)
    for name in Set(names.map { ($0.kind == "long" ? "-" : "") + $0.name }) {
      #expect(items.contains { "\($0) ".contains("Fl \(name) ") }, "the option -\(name)")
    }
  }

  @Test("cdcd-rules(5) has every key of the file")
  func keys() throws {
    let folder = try TemporaryFolder()
    // Whatever is unknown is answered with all that is known.
    let rules = try folder.write(
      """
      unknown: 1
      source: {unknown: 1}
      redis: {unknown: 1}
      http: {unknown: 1}
      log: {unknown: 1}
      rules:
        - {table: users, keys: ["user:{id}"], unknown: 1}
      """, to: "rules.yaml")
    let check = try CommandResult.of(
      [CDCDProcess.binary, "check", "--offline", "--config", rules], in: folder)
    #expect(check.status == 78)
    let lists = check.output.matches(of: /unknown key, "unknown"[^\n]*?one of ([a-z_, ]+)/)
    try #require(lists.count == 6, "\(check.output)")
    let page = try Self.page("cdcd-rules.5")
    for key in lists.flatMap({ $0.output.1.split(separator: ", ") }) {
      #expect(page.contains(".It Ic \(key)") || page.contains(".Ss \(key)"), "the key \(key)")
    }
  }
}
