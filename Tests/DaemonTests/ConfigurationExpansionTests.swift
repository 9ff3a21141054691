import Daemon
import Foundation
import Invalidation
import Testing

@Suite struct ConfigurationExpansionTests {
  static func file(slot: String) -> String {
    """
    source: {postgres: 'host=db', slot: '\(slot)'}
    redis: {url: 'redis://localhost'}
    rules: [{table: users, keys: ['u:{id}']}]
    """
  }

  @Test(arguments: [
    ("${SLOT}", "from_env"),
    ("a${SLOT}b", "afrom_envb"),
    ("${SLOT:-other}", "from_env"),
    ("${NONE:-other}", "other"),
    ("${EMPTY:-other}", "other"),
    ("${NONE:-${SLOT}x}", "from_envx"),
    ("${SLOT:-${NONE}}", "from_env"),
    ("x${EMPTY}", "x"),
  ])
  func expands(slot: String, expected: String) throws {
    let environment = ["SLOT": "from_env", "EMPTY": ""]
    let configuration = try Configuration.read(
      Self.file(slot: slot), file: "r.yaml", environment: environment)
    #expect(configuration.source.slot == expected)
  }

  @Test(arguments: [
    (
      "${NONE}",
      "38: found ${NONE}, which is not in the environment, expected the variable NONE to be set, or ${NONE:-default}"
    ),
    (
      "ab${NONE}",
      "40: found ${NONE}, which is not in the environment, expected the variable NONE to be set, or ${NONE:-default}"
    ),
    ("${SECRET", "38: found a ${ without its }, expected ${NAME}, ${NAME:-default} or ${file:/path}"),
    (
      "${}",
      "38: found a ${ without the name of a variable, expected ${NAME}, ${NAME:-default} or ${file:/path}"
    ),
    (
      "${A-B}",
      #"41: found "-" in the name of a variable, expected ${NAME}, ${NAME:-default} or ${file:/path}"#
    ),
    ("${file:secret}", "38: found ${file:secret}, which is not an absolute path, expected ${file:/path}"),
    (
      "${file:/nonexistent}",
      "38: found ${file:/nonexistent}, which cannot be read: No such file or directory, expected a UTF-8 text file that cdcd may read"
    ),
    (
      "${file:/dev/zero}",
      "38: found ${file:/dev/zero}, which cannot be read: more than 1 MiB, expected a UTF-8 text file that cdcd may read"
    ),
    ("${SECRET}", "37: found the value of ${SECRET}, expected 1 to 63 of a-z, 0-9 and _"),
    ("${EMPTY}", "37: found nothing in ${EMPTY}, expected 1 to 63 of a-z, 0-9 and _"),
    ("${NONE:-Hunter2}", "37: found the value of ${NONE}, expected 1 to 63 of a-z, 0-9 and _"),
  ])
  func refuses(slot: String, expected: String) {
    let environment = ["SECRET": "Hunter2!", "EMPTY": ""]
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration.read(Self.file(slot: slot), file: "r.yaml", environment: environment)
    }
    #expect(error?.description == "r.yaml:1:" + expected)
  }

  @Test func readsFiles() throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("p@ss:w/rd\n".utf8).write(to: folder.appending(component: "password"))
    let text = """
      source:
        postgres: host=db password=${file:${FOLDER}/password} user=a
      redis:
        url: redis://:${file:\(folder.path)/password}@localhost:port
      rules:
        - {table: users, keys: ['u:{id}']}
      """
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration.read(text, file: "r.yaml", environment: ["FOLDER": folder.path])
    }
    #expect(error?.problems.count == 1)
    #expect(error?.description.contains("p@ss") == false)
    let right = text.replacing("localhost:port", with: "localhost").replacing(
      "${file:\(folder.path)/password}", with: "x")
    let configuration = try Configuration.read(right, file: "r.yaml", environment: ["FOLDER": folder.path])
    #expect(configuration.source.postgres == "host=db password=p@ss:w/rd user=a")
    #expect(configuration.source.redacted == "host=db user=a")
  }

  @Test func leavesRulesAlone() throws {
    let text = """
      source: {postgres: 'host=db'}
      redis: {url: 'redis://localhost'}
      rules: [{table: users, where: {a: '${HOME}'}, keys: ['u:$${{{id}}}']}]
      """
    let configuration = try Configuration.read(text, file: "r.yaml", environment: ["HOME": "/root"])
    #expect(configuration.rules[0].conditions[0].values == ["${HOME}"])
    #expect(configuration.rules[0].templates[0].text == "u:$${{{id}}}")
  }
}
