import LeaseKeys
import Testing

@testable import CacheAside
@testable import Invalidation

@Suite struct CacheKeyTests {
  /// The rule of contract 2, written once more and differently.
  private func expected(_ key: [UInt8]) -> [UInt8] {
    let parts = key.split(separator: UInt8(ascii: "{"), maxSplits: 1, omittingEmptySubsequences: false)
    let tagged =
      parts.count == 2
      && parts[1].contains(UInt8(ascii: "}")) && parts[1].first != UInt8(ascii: "}")
    return Array("cdcd:l:".utf8) + (tagged ? key : Array("{".utf8) + key + Array("}".utf8))
  }

  /// Every key of up to six bytes over an alphabet that has all that matters.
  private var keys: [[UInt8]] {
    let alphabet: [UInt8] = Array("{}a".utf8) + [0, 13, 255]
    var keys: [[UInt8]] = [[]]
    var longest: [[UInt8]] = [[]]
    for _ in 1...6 {
      longest = longest.flatMap { key in alphabet.map { key + [$0] } }
      keys += longest
    }
    return keys
  }

  @Test("readers take exactly the lease that cdcd deletes, for 55,987 keys")
  func readersAndDaemonAgree() {
    let keys = keys
    #expect(keys.count == 55_987)
    for key in keys {
      let lease = CacheKey(key).lease.bytes
      var deleted = CommandWriter()
      let limit = key.count + LeaseKey.overhead + OutputSpan<UInt8>.argumentOverhead
      deleted.write(atMost: limit) { LeaseKey.write(key.span, to: &$0) }
      guard lease == expected(key), deleted.bytes == Array("$\(lease.count)\r\n".utf8) + lease + [13, 10]
      else {
        Issue.record("\(key): reader \(lease), cdcd \(deleted.bytes), contract \(expected(key))")
        return
      }
    }
  }

  @Test("a string with values in it is its UTF-8")
  func interpolation() {
    let id = 7
    let key: CacheKey = "größe:\(id)"
    #expect(key == CacheKey(Array("größe:7".utf8)))
    #expect(key == CacheKey("größe:7"))
  }
}
