"""A graph convolution on two communities, with a dense adjacency matrix."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter


class GraphConvolution(Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        return torch.mm(adj, torch.mm(input, self.weight)) + self.bias

    def __repr__(self):
        return self.__class__.__name__ + f" ({self.weight.shape[0]} -> {self.weight.shape[1]})"


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1, self.gc2 = GraphConvolution(20, 8), GraphConvolution(8, 2)

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.gc1(x, adj)), 0.1, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


torch.manual_seed(3)
labels = (torch.arange(20) >= 10).long()
same = labels.unsqueeze(0) == labels.unsqueeze(1)
adj = (torch.rand(20, 20) < torch.where(same, torch.tensor(0.6), torch.tensor(0.05))).float()
adj = ((adj + adj.t()) > 0).float() + torch.eye(20)
degree = adj.sum(1).pow(-0.5)
adj = degree.view(-1, 1) * adj * degree.view(1, -1)
seen = torch.tensor([0, 1, 10, 11])
model, features = GCN(), torch.eye(20)
optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=5e-4)
for _ in range(40):
    model.train()
    optimizer.zero_grad()
    F.nll_loss(model(features, adj)[seen], labels[seen]).backward()
    optimizer.step()
model.eval()
accuracy = (model(features, adj).max(1)[1] == labels).double().mean().item()
assert accuracy > 0.85 and "(20 -> 8)" in str(model), accuracy
