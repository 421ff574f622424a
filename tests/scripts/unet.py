"""A U-Net that segments discs, with a dice loss and a checkpoint."""

import io

import torch
from torch import nn


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.LeakyReLU(0.1), nn.Conv2d(o, o, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.down1, self.down2 = double_conv(1, width), double_conv(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.last, self.pool = double_conv(2 * width, width), nn.MaxPool2d(2)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        return self.out(self.last(torch.cat([a, self.up(b)], dim=1)))


def dice(logits, target, eps=1.0):
    p = torch.sigmoid(logits)
    inter = (p * target).sum(dim=(1, 2, 3))
    return 1 - ((2 * inter + eps) / (p.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3)) + eps)).mean()


torch.manual_seed(0)
yy, xx = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
centres = torch.randint(4, 12, (8, 2))
mask = torch.stack([((yy - cy) ** 2 + (xx - cx) ** 2 < 16).float() for cy, cx in centres.tolist()]).unsqueeze(1)
image = mask + 0.3 * torch.randn_like(mask)
model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5)
bce = nn.BCEWithLogitsLoss()
losses = []
for _ in range(12):
    optimizer.zero_grad()
    logits = model(image)
    loss = bce(logits, mask) + dice(logits, mask)
    loss.backward()
    optimizer.step()
    scheduler.step(loss.item())
    losses.append(loss.item())
assert losses[-1] < 0.6 * losses[0], losses
file = io.BytesIO()
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 12}, file)
file.seek(0)
checkpoint = torch.load(file, map_location="cpu")
again = UNet()
again.load_state_dict(checkpoint["model"])
again.eval()
model.eval()
assert torch.allclose(again(image), model(image), atol=1e-5)
