#include "onnx/model_file.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "messages.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;
using onnx::Model;
using onnx::Role;

namespace {

// A graph that holds a message of each kind, with room for a field more in one of them.
struct Parts {
  std::string model, graph, node, attribute, tensor, input;

  std::string whole() const {
    const std::string table = number_field(1, 2) + number_field(2, 1) + field(8, "w") + field(9, std::string(8, '\1'));
    const std::string value = field(1, "axis") + number_field(3, 1) + attribute;
    const std::string add = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add") + field(5, value) + node;
    return field(7, field(1, add) + field(5, table + tensor) + field(11, field(1, "x") + input) + graph) + model;
  }
};

// Why a model is refused; empty if it is read.
std::string refusal(const std::string& model, Role role = Role::kNetwork) {
  // Of its own, so that sanitizers see its end.
  const std::vector<char> file(model.begin(), model.end());
  try {
    const Model read(file.data(), file.size(), role);
    return "";
  } catch (const ModelError& error) {
    return error.what();
  }
}

using Place = std::string Parts::*;

std::string refusal(Place place, const std::string& bytes, Role role = Role::kNetwork) {
  Parts parts;
  parts.*place = bytes;
  return refusal(parts.whole(), role);
}

// What ONNX has in a message: the numbers of its fields by their form, those that come once, and of these the ones
// that Parts has put there already.
struct Message {
  Place place;
  std::vector<std::uint64_t> numbers, bytes, floats, doubles;
  std::vector<std::uint64_t> once, taken;
};

const std::vector<Message> kMessages = {
    {&Parts::model, {1, 5}, {2, 3, 4, 6, 7, 8, 14}, {}, {}, {1, 2, 3, 4, 5, 6, 7}, {7}},
    {&Parts::graph, {}, {1, 2, 5, 10, 11, 12, 13, 14, 16}, {}, {}, {2, 10}, {}},
    {&Parts::node, {}, {1, 2, 3, 4, 5, 6, 7, 9}, {}, {}, {3, 4, 6, 7}, {4}},
    {&Parts::attribute, {3, 8, 20}, {1, 4, 5, 7, 8, 9, 10, 13}, {2, 7}, {}, {1, 3, 13, 20}, {1, 3}},
    {&Parts::tensor, {1, 2, 5, 7, 11, 14}, {1, 4, 5, 7, 8, 9, 10, 11, 12, 16}, {4}, {10}, {2, 8, 9, 12, 14}, {2, 8, 9}},
    {&Parts::input, {}, {1, 2, 3, 4}, {}, {}, {1, 2, 3}, {1}},
};

bool contains(const std::vector<std::uint64_t>& numbers, std::uint64_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

}  // namespace

TEST_CASE("fields that ONNX does not have, or has in another form, are refused in every message") {
  REQUIRE(refusal(Parts().whole()).empty());
  const std::string unknown = "that ONNX, as digitvae knows it, does not have";
  const std::vector<std::uint64_t> refused_by_name = {6, 11, 14, 15, 21, 22, 23, 25, 26, 20, 3, 13, 8, 10};
  for (const Message& message : kMessages) {
    for (std::uint64_t number = 1; number <= 40; ++number) {
      INFO("message " << &message - kMessages.data() << ", field " << number);
      const std::pair<std::string, bool> forms[] = {
          {number_field(number, 0), contains(message.numbers, number)},
          {field(number, ""), contains(message.bytes, number)},
          {fixed32_field(number), contains(message.floats, number)},
          {fixed64_field(number), contains(message.doubles, number)},
      };
      for (const auto& [bytes, is_known] : forms) {
        const std::string why = refusal(message.place, bytes);
        if (is_known) {
          CHECK(why.find(unknown) == std::string::npos);
        } else if (bytes == field(number, "") && contains(refused_by_name, number)) {
          CHECK_FALSE(why.empty());  // in words of its own
        } else {
          CHECK(why.find(unknown) != std::string::npos);
        }
      }
    }
    CHECK(refusal(message.place, number_field(std::uint64_t{1} << 29 | 13, 0)).find(unknown) != std::string::npos);
  }
}

TEST_CASE("what a message has once it cannot have twice") {
  for (const Message& message : kMessages) {
    for (const std::uint64_t number : message.once) {
      INFO("message " << &message - kMessages.data() << ", field " << number);
      const std::string one = contains(message.numbers, number)  ? number_field(number, 0)
                              : contains(message.floats, number) ? fixed32_field(number)
                                                                 : field(number, "");
      const std::string all = contains(message.taken, number) ? one : one + one;
      CHECK(refusal(message.place, all).find("has its field " + std::to_string(number) + " twice") !=
            std::string::npos);
    }
  }
}

TEST_CASE("what a model of ours has no need of is refused by name, in one of the user's own as far as it is harmless") {
  struct Refused {
    Place place;
    std::string bytes;
    std::string why;
    bool always;
  };
  const std::string outside = "keeps values outside of the file";
  const Refused all[] = {
      {&Parts::model, field(20, ""), "holds training steps", true},
      {&Parts::model, field(25, ""), "defines functions of its own", false},
      {&Parts::model, field(26, ""), "says which devices compute it", false},
      {&Parts::graph, field(15, ""), "holds sparse values", false},
      {&Parts::node, field(8, ""), "defines functions of its own", false},
      {&Parts::node, field(10, ""), "says which devices compute it", false},
      {&Parts::node, field(5, field(1, "g") + field(6, "")), "holds a graph within a node", false},
      {&Parts::node, field(5, field(1, "g") + field(11, "")), "holds a graph within a node", false},
      {&Parts::node, field(5, field(1, "g") + field(14, "")), "holds types as attributes", false},
      {&Parts::node, field(5, field(1, "g") + field(15, "")), "holds types as attributes", false},
      {&Parts::node, field(5, field(1, "g") + field(21, "")), "defines functions of its own", false},
      {&Parts::node, field(5, field(1, "g") + field(22, "")), "holds sparse values", false},
      {&Parts::node, field(5, field(1, "g") + field(23, "")), "holds sparse values", false},
      {&Parts::tensor, field(3, ""), "holds a part of a tensor only", true},
      {&Parts::tensor, field(13, ""), outside, true},
      {&Parts::tensor, number_field(14, 1), outside, true},
      {&Parts::tensor, number_field(14, std::uint64_t{1} << 32), outside, true},
  };
  for (const Refused& refused : all) {
    INFO(refused.why << ", " << refused.bytes);
    CHECK(refusal(refused.place, refused.bytes).find(refused.why) != std::string::npos);
    CHECK(refusal(refused.place, refused.bytes, Role::kAny).empty() != refused.always);
  }
  CHECK(refusal(&Parts::graph, field(5, field(8, "s") + field(6, "text"))) ==
        "the model's tensor holds strings as values");
  CHECK(refusal(&Parts::tensor, number_field(14, 0)).empty());
}

TEST_CASE("values outside of the file are found wherever a tensor can be") {
  const std::string external = field(8, "t") + field(13, "");
  const std::string constant = field(4, "Constant");
  const auto attribute_of = [](std::uint64_t number, const std::string& value) {
    return field(5, field(1, "a") + field(number, value));
  };
  const std::string graph = field(5, external);
  const std::string in_node = field(1, constant + attribute_of(5, external));
  const std::pair<Place, std::string> places[] = {
      {&Parts::graph, graph},
      {&Parts::graph, in_node},
      {&Parts::graph, field(15, field(1, external))},
      {&Parts::graph, field(15, field(2, external))},
      {&Parts::node, attribute_of(10, external)},
      {&Parts::node, attribute_of(22, field(1, external))},
      {&Parts::node, attribute_of(23, field(2, external))},
      {&Parts::node, attribute_of(6, graph)},
      {&Parts::node, attribute_of(11, in_node)},
      {&Parts::model, field(25, field(7, constant + attribute_of(5, external)))},
      {&Parts::model, field(25, field(11, field(1, "a") + field(5, external)))},
      {&Parts::model, field(25, field(7, attribute_of(6, graph)))},
  };
  for (const auto& [place, bytes] : places) {
    CHECK(refusal(place, bytes, Role::kAny).find("keeps values outside of the file") != std::string::npos);
    CHECK_FALSE(refusal(place, bytes).empty());
  }
  std::string deep;
  for (int i = 0; i < 15; ++i) deep = field(1, attribute_of(6, deep));
  CHECK(refusal(&Parts::graph, deep, Role::kAny).empty());
  CHECK(refusal(&Parts::graph, field(1, attribute_of(6, deep)), Role::kAny).find("16 deep") != std::string::npos);
}

TEST_CASE("every value has one definition") {
  const auto initializer = [](const std::string& name) { return field(5, field(8, name)); };
  const std::pair<Place, std::string> twice[] = {
      {&Parts::graph, initializer("w")},                     // two initializers
      {&Parts::graph, initializer("y")},                     // an initializer and a node
      {&Parts::graph, initializer("x")},                     // an initializer and an input
      {&Parts::graph, field(1, node("Constant", {}, "w"))},  // a node and an initializer
      {&Parts::graph, field(1, node("Relu", {"x"}, "y"))},   // two nodes
      {&Parts::graph, field(1, node("Relu", {"y"}, "x"))},   // a node and an input
      {&Parts::graph, field(11, field(1, "x"))},             // two inputs
      {&Parts::graph, field(11, field(1, "w"))},             // an input and an initializer
      {&Parts::node, field(2, "y")},                         // two outputs of a node
      {&Parts::node, field(2, "w")},                         // its second output
  };
  for (const auto& [place, bytes] : twice) {
    INFO(bytes);
    CHECK(refusal(place, bytes).find("' twice") != std::string::npos);
  }
  const std::string sparse = field(15, field(1, field(8, "w")));
  CHECK(refusal(&Parts::graph, sparse, Role::kAny) == "the model defines 'w' twice");
  // Older files list initializers among the inputs.
  CHECK(refusal(&Parts::graph, field(11, field(1, "w")), Role::kAny).empty());
  CHECK(refusal(&Parts::graph, field(11, field(1, "y")), Role::kAny) == "the model defines 'y' twice");
  // Outputs that nobody wants have no name.
  CHECK(refusal(&Parts::node, field(2, "") + field(2, "")).empty());
  const std::string raw = "a\x1b[31m\n\x7f\xc2\x9b";
  CHECK(refusal(&Parts::graph, initializer(raw)).empty());
  CHECK(refusal(&Parts::graph, initializer(raw) + initializer(raw)) ==
        "the model defines 'a\\x1b[31m\\x0a\\x7f\\xc2\\x9b' twice");
  const std::string name(200, 'n');
  CHECK(refusal(&Parts::graph, initializer(name) + initializer(name)) ==
        "the model defines '" + name.substr(0, 60) + "…' twice");
}

TEST_CASE("metadata are read, each key once") {
  const auto entry = [](const std::string& key, const std::string& value) {
    return field(14, field(1, key) + field(2, value));
  };
  const std::string model = model_of({}) + entry("b", "2") + entry("a", "") + field(14, "");
  const Model read(model.data(), model.size(), Role::kNetwork);
  CHECK(read.metadata() == onnx::Metadata{{"", ""}, {"a", ""}, {"b", "2"}});
  CHECK(refusal(&Parts::model, entry("a", "1") + entry("a", "2")) == "the model has metadata 'a' twice");
  CHECK(refusal(&Parts::model, entry("a", "1") + entry("a", "2"), Role::kAny).empty());
  CHECK(refusal(&Parts::model, field(14, field(3, ""))).find("the model's metadata has a field 3") == 0);
}

TEST_CASE("an attribute and a tensor have one value") {
  const std::string values[] = {fixed32_field(2), number_field(3, 1), field(4, ""), field(5, ""),
                                field(7, ""),     field(8, ""),       field(9, ""), field(10, "")};
  for (const std::string& first : values) {
    for (const std::string& second : values) {
      if (first == second) continue;
      CHECK(refusal(&Parts::node, field(5, field(1, "b") + first + second)) ==
            "the model has an attribute with two values");
    }
  }
  for (const std::string& once : {values[0], values[1], values[2], values[3]}) {
    CHECK(refusal(&Parts::node, field(5, field(1, "b") + once)).empty());
    CHECK(refusal(&Parts::node, field(5, field(1, "b") + once + once)).find("twice") != std::string::npos);
  }
  // Of several numbers, which may stand in a field each.
  CHECK(refusal(&Parts::node, field(5, field(1, "b") + number_field(8, 1) + number_field(8, 2))).empty());
  CHECK(refusal(&Parts::graph, field(5, field(8, "t") + number_field(7, 1) + number_field(7, 2))).empty());
  CHECK(refusal(&Parts::node, field(5, field(1, "axis") + number_field(3, 2))) ==
        "the model has an attribute 'axis' twice in one node");
  for (const std::uint64_t other : {4, 5, 7, 10, 11}) {
    CHECK(refusal(&Parts::tensor, field(other, "")) == "the model has a tensor with two sets of values");
  }
}

TEST_CASE("a model may use the operators of its role, and one of the user's own every operator") {
  const auto using_operator = [](const std::string& op_type, Role role, const std::string& domain = "") {
    return refusal(model_of({node(op_type, {"a"}, "b", field(7, domain))}), role);
  };
  for (const char* const op_type : {"Loop", "If", "Scan", "RandomNormal", "SequenceMap", "StringConcat", "Gem", ""}) {
    INFO(op_type);
    CHECK_FALSE(using_operator(op_type, Role::kNetwork).empty());
    CHECK_FALSE(using_operator(op_type, Role::kMixture).empty());
    CHECK(using_operator(op_type, Role::kAny).empty());
  }
  for (const char* const op_type : {"Conv", "Relu", "Sigmoid", "BatchNormalization"}) {
    CHECK(using_operator(op_type, Role::kNetwork).empty());
    CHECK(using_operator(op_type, Role::kMixture) ==
          "the model uses the operator '" + std::string(op_type) + "', which a latent mixture has no need of");
  }
  CHECK(using_operator("CumSum", Role::kMixture).empty());
  CHECK(
      using_operator("CumSum", Role::kNetwork) ==
      "the model uses the operator 'CumSum', which networks of dense, convolutional and activation layers do not need");
  for (const Role role : {Role::kNetwork, Role::kMixture}) {
    CHECK(using_operator("MatMul", role).empty());
    CHECK(using_operator("MatMul", role, "ai.onnx").empty());
    CHECK(using_operator("MatMul", role, "com.microsoft").find("of 'com.microsoft'") != std::string::npos);
  }
  CHECK(using_operator("MatMul", Role::kAny, "com.microsoft").empty());
}

TEST_CASE("sizes may stand packed into one field") {
  const std::string packed = field(1, varint(2) + varint(300));
  const std::string model = model_of({}, field(5, packed + field(8, "w")));
  const Model read(model.data(), model.size(), Role::kNetwork);
  CHECK(read.graph().initializer("w")->dims == std::vector<std::uint64_t>{2, 300});
  CHECK(refusal(model_of({}, field(5, field(1, "\x80")))) == "the model's tensor has sizes that are cut short");
}

TEST_CASE("what is not one whole ONNX model is refused, and never read beyond its end") {
  CHECK(refusal("") == "the model has 0 bytes, expected 1 to 1 GiB");
  CHECK(refusal("no model") != "");
  CHECK(refusal(number_field(1, 8)) == "the model has no graph: the file is not ONNX, or cut short");
  CHECK(refusal(field(7, "")).empty());
  CHECK(refusal(field(7, "") + field(7, "")) == "the model has its field 7 twice");
  char byte = 0;
  CHECK_THROWS_WITH(Model(&byte, (std::size_t{1} << 30) + 1, Role::kNetwork),  // before a byte is read
                    "the model has 1073741825 bytes, expected 1 to 1 GiB");
  // A file that ONNX Runtime would take for one of its own format.
  CHECK(refusal(field(2, "xxORTM") + field(7, "")) == "the model is in ONNX Runtime's own format: digitvae reads ONNX");
  CHECK(refusal(field(2, "xORTM") + field(7, "")).empty());

  const std::string many(std::size_t{1} << 21, '\0');
  std::string outputs;
  for (std::size_t i = 0; i <= std::size_t{1} << 20; ++i) outputs += field(12, "");
  CHECK(refusal(field(7, outputs)) == "the model has more than 1048576 fields");
  CHECK(refusal(model_of({}, field(5, field(1, many)))) == "the model has more than 1048576 fields");

  const std::string prior = read_test_prior();
  for (std::size_t size = 0; size < prior.size(); size += 7) {
    const std::string why = refusal(prior.substr(0, size), Role::kMixture);
    if (size < prior.find("digitvae.schema") - 4) CHECK_FALSE(why.empty());
  }
  CHECK_FALSE(refusal(prior + prior, Role::kMixture).empty());  // which parsers would join
  // A length, a number and a key that go on beyond the end, or for ever.
  for (const std::string& cut :
       {std::string("\x3a\x05\x0a"), std::string("\x3a"), std::string("\x08"), std::string("\x80"),
        std::string("\x08\x80"), std::string("\x0d\x01\x02\x03"), std::string("\x09\x01"),
        std::string("\x08") + std::string(11, '\x80') + '\1', std::string("\x3a") + std::string(9, '\xff') + '\1'}) {
    CHECK_FALSE(refusal(field(7, "") + cut).empty());
    CHECK_FALSE(refusal(field(7, cut)).empty());
  }
  // Keys without an end before what would be a whole field; numbers of 32 and 64 bits that go on beyond the end of
  // their message, though not of the file.
  const std::string endless(9, '\x80');
  const std::string broken = " is no message of ONNX: the file is damaged, or cut short";
  const auto attribute_with = [](const std::string& rest) {
    return refusal(&Parts::node, field(5, field(1, "b") + rest));
  };
  const auto tensor_with = [](const std::string& rest) {
    return refusal(&Parts::graph, field(5, field(8, "t") + rest));
  };
  CHECK(refusal(field(7, "") + '\x88' + endless + '\1') == "the model" + broken);
  CHECK(refusal(field(7, "") + '\x92' + endless + std::string("\1x")) == "the model" + broken);
  CHECK(attribute_with('\x95' + endless + "\1\2\3\4") == "the model's attribute" + broken);
  CHECK(attribute_with("\x15\1\2\3") == "the model's attribute" + broken);
  CHECK(tensor_with('\xd1' + endless + "\1\2\3\4\5\6\7\x8") == "the model's tensor" + broken);
  CHECK(tensor_with("\x51\1\2\3\4\5\6\7") == "the model's tensor" + broken);
  Parts parts;  // of a tensor that ends within a field, before a field of the model
  parts.graph = field(5, field(8, "t") + '\x08');
  parts.model = field(3, "");
  CHECK(refusal(parts.whole()) == "the model's tensor" + broken);
  for (const char group : {'\x3b', '\x3c', '\x3e', '\x3f'}) {  // forms of fields that nobody writes any more, or yet
    for (const std::string& rest : {std::string(), std::string(1, '\0')}) {
      CHECK(refusal(field(7, "") + group + rest) ==
            "the model is no message of ONNX: the file is damaged, or cut short");
    }
  }
}
